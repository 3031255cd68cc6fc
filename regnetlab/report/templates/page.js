// What the page does when it opens and when something on it is used.

async function loadPlotly() {
  const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
}

function toggleSpace(name, alone) {
  const all = [...document.querySelectorAll("[data-space]")].map((button) => button.dataset.space);
  if (alone) {
    const only = all.every((space) => hidden.has(space) === (space !== name));
    hidden.clear();
    if (!only) all.filter((space) => space !== name).forEach((space) => hidden.add(space));
  } else if (!hidden.delete(name)) {
    hidden.add(name);
  }
  showSpaces();
}

function unselect() {
  pinned = false;
  select(null);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const { space, variant: wanted, network, property, csv } = button.dataset;
  if (button.dataset.copy !== undefined) copy(button);
  if (space !== undefined) toggleSpace(space, event.shiftKey);
  if (wanted !== undefined) {
    variant = wanted;
    for (const other of document.querySelectorAll("[data-variant]")) other.setAttribute("aria-pressed", String(other === button));
    showSpaces();
  }
  if (network !== undefined) { pinned = true; select(Number(network), button); }
  if (property !== undefined) chooseProperty(property);
  if (csv !== undefined) download(csv, csv === "networks" ? networksCsv() : figureCsv(csv));
  if (button.id === "close") unselect();
  if (button.id === "more") { view.rows += 100; fillTable(); }
  const header = button.closest(".sortable:not(#table) th[scope=col]");
  if (header) sortTable(header);
});
document.addEventListener("dblclick", (event) => {
  const space = event.target.closest("[data-space]")?.dataset.space;
  if (space !== undefined) toggleSpace(space, true);
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape") unselect(); });
document.getElementById("query").addEventListener("input", (event) => {
  view.query = event.target.value;
  view.rows = PAGE;
  fillTable();
});
document.getElementById("property")?.addEventListener("change", (event) => chooseProperty(event.target.value));

for (const code of document.querySelectorAll("#use .command code")) setCommand(code, code.textContent);
for (const place of document.querySelectorAll("[data-drawing]")) {
  const number = Number(place.dataset.drawing);
  drawNetwork(place, networks.depths[number], networks.widths[number]);
}
makeTable();
loadPlotly().then(drawAll).then(() => {
  listen();
  document.body.dataset.drawn = "yes";
  dark.addEventListener("change", drawAll);
  narrow.addEventListener("change", drawAll);
  coarse.addEventListener("change", drawAll);
  window.addEventListener("beforeprint", () => print(true));
  window.addEventListener("afterprint", () => print(false));
  window.addEventListener("resize", () => requestAnimationFrame(mark));
});
const nav = document.querySelector("nav");
new ResizeObserver(() => document.documentElement.style.setProperty("--nav", `${nav.offsetHeight}px`)).observe(nav);
