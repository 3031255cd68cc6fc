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

  draw();
  dark.addEventListener("change", draw);
  narrow.addEventListener("change", draw);
})();
