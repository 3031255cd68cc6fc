"use strict";
// Draws every figure with the colours of the page's theme, again when the theme or width changes class.
(() => {
  const data = JSON.parse(document.getElementById("figure-data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 40rem)");

  function themed(layout) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const copy = structuredClone(layout);
    copy.paper_bgcolor = copy.plot_bgcolor = "rgba(0,0,0,0)";
    copy.font = { color: colour("--ink"), size: narrow.matches ? 11 : 13, family: getComputedStyle(document.body).fontFamily };
    copy.hoverlabel = { bgcolor: colour("--raised"), bordercolor: colour("--line"), font: { color: colour("--ink") }, align: "left" };
    for (const axis of ["xaxis", "yaxis"]) {
      copy[axis] = { automargin: true, ...copy[axis], gridcolor: colour("--line"), linecolor: colour("--line"), zerolinecolor: colour("--line") };
    }
    if (narrow.matches) copy.margin = { ...copy.margin, l: 44, r: 6 };
    return copy;
  }

  function draw() {
    for (const [id, figure] of Object.entries(data)) {
      const place = document.getElementById(`plot-${id}`);
      if (place) Plotly.react(place, figure.data, themed(figure.layout), { responsive: true, displaylogo: false });
    }
    document.body.dataset.drawn = "yes";
  }

  // Sorts a table by the column whose header is clicked, again the other way round; empty cells stay last.
  function sort(header) {
    const row = header.parentElement;
    const column = [...row.children].indexOf(header);
    const sign = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of row.children) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const body = header.closest("table").tBodies[0];
    const key = (line) => {
      const { dataset, textContent } = line.children[column];
      return "value" in dataset ? (dataset.value === "" ? null : Number(dataset.value)) : textContent;
    };
    const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b));
    const lines = [...body.rows].map((line) => [key(line), line]);
    lines.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b)));
    body.append(...lines.map(([, line]) => line));
  }

  for (const header of document.querySelectorAll(".sortable th[scope=col]")) {
    header.querySelector("button").addEventListener("click", () => sort(header));
  }

  draw();
  dark.addEventListener("change", draw);
  narrow.addEventListener("change", draw);
})();
