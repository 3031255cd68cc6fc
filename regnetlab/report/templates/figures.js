// The figures: drawn in the page's colours, spaces switched together, one network marked in all of them.

const page = JSON.parse(document.getElementById("data").textContent);
const networks = page.networks;
const plots = () => [...document.querySelectorAll(".plot")];
const hidden = new Set();
let variant = "plain";
let selected = null;
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const narrow = window.matchMedia("(max-width: 40rem)");

function themed(layout) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const copy = structuredClone(layout);
  copy.paper_bgcolor = copy.plot_bgcolor = "rgba(0,0,0,0)";
  copy.font = { color: colour("--ink"), size: narrow.matches ? 11 : 13, family: getComputedStyle(document.body).fontFamily };
  copy.hoverlabel = { bgcolor: colour("--raised"), bordercolor: colour("--line"), font: { color: colour("--ink") }, align: "left" };
  for (const axis of new Set(["xaxis", "yaxis", ...Object.keys(copy).filter((key) => /^[xy]axis\d/.test(key))])) {
    copy[axis] = { automargin: true, ...copy[axis], gridcolor: colour("--line"), linecolor: colour("--line"), zerolinecolor: colour("--line") };
  }
  if (narrow.matches) copy.margin = { ...copy.margin, l: 44, r: 6 };
  return copy;
}

// Points of networks come from the table of networks: a trace names the columns and holds the numbers.
function filled(trace) {
  const columns = trace.meta?.columns;
  if (!columns) return trace;
  const at = (name) => trace.customdata.map((number) => networks[name][number]);
  return { ...trace, x: at(columns.x), y: at(columns.y) };
}

function shows(trace, few) {
  const meta = trace.meta ?? {};
  if (meta.space !== undefined && hidden.has(meta.space)) return false;
  if (meta.variant !== undefined && meta.variant !== variant) return false;
  return meta.band ? few : true;
}

function visible(traces) {
  const spaces = new Set(traces.map((trace) => trace.meta?.space).filter((space) => space !== undefined && !hidden.has(space)));
  return traces.map((trace) => {
    const shown = shows(trace, spaces.size <= 2);
    const inLegend = trace.showlegend !== false && !trace.meta?.band && [undefined, variant].includes(trace.meta?.variant);
    return shown || !inLegend ? shown : "legendonly";
  });
}

function drawFigure(place) {
  const figure = page.figures[place.dataset.figure];
  const shown = visible(figure.data);
  const data = figure.data.map((trace, i) => ({ ...filled(trace), visible: shown[i] }));
  return Plotly.react(place, data, themed(figure.layout), { responsive: true, displaylogo: false });
}

async function drawAll() {
  for (const place of plots()) await drawFigure(place);
  mark();
}

function showSpaces() {
  for (const button of document.querySelectorAll("[data-space]")) button.setAttribute("aria-pressed", String(!hidden.has(button.dataset.space)));
  for (const place of plots()) Plotly.restyle(place, { visible: visible(page.figures[place.dataset.figure].data) });
}

function chooseProperty(name) {
  const figure = page.figures.property;
  for (const trace of figure.data) trace.meta.columns.x = name;
  Object.assign(figure.layout, page.properties[name]);
  document.getElementById("property").value = name;
  drawFigure(document.getElementById("plot-property")).then(mark);
}

// Where a network lies in a figure, as points in the axes' own units.
function place(link, number) {
  if (link.kind === "point") return [[networks[link.x][number], networks[link.y][number]]];
  if (link.kind === "stages") return (networks.widths[number] ?? []).map((width, i) => [i + 1, width]);
  return networks.curve[number];
}

// An overlay above the plot: marking a network then never draws the figure again.
function mark() {
  for (const plot of plots()) {
    plot.querySelector(".overlay")?.remove();
    const link = plot.layout?.meta?.link, full = plot._fullLayout;
    if (selected === null || !link || !full?.xaxis) continue;
    const { xaxis, yaxis } = full;
    const points = place(link, selected)
      .filter(([x, y]) => x !== null && y !== null)
      .map(([x, y]) => [xaxis._offset + xaxis.c2p(xaxis.d2c(x)), yaxis._offset + yaxis.c2p(yaxis.d2c(y))])
      .filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y));
    if (!points.length) continue;
    const overlay = svg("svg", { class: "overlay", width: full.width, height: full.height, "data-network": selected });
    if (points.length > 1) svg("polyline", { points: points.map((point) => point.join(",")).join(" ") }, overlay);
    else svg("circle", { cx: points[0][0], cy: points[0][1], r: 9 }, overlay);
    plot.append(overlay);
  }
}

function select(number) {
  if (number === selected) return;
  selected = number;
  mark();
  showPanel();
  for (const row of document.querySelectorAll("#table tr[aria-selected]")) row.removeAttribute("aria-selected");
  if (number !== null) document.querySelector(`#table tr[data-number="${number}"]`)?.setAttribute("aria-selected", "true");
}

function showPanel() {
  const panel = document.getElementById("panel");
  panel.hidden = selected === null;
  if (selected === null) return;
  const at = (name) => networks[name]?.[selected];
  const short = (value) => (value === null || value === undefined ? "–" : Number(value).toLocaleString("en", { maximumSignificantDigits: 3, notation: "compact" }));
  panel.querySelector(".name").textContent = `${at("title")} · ${at("error").toFixed(2)}%`;
  const drawing = panel.querySelector(".drawing");
  drawNetwork(drawing, at("depths"), at("widths"));
  drawCurve(drawing, at("curve"));
  panel.querySelector(".numbers").textContent = `${at("label")} · flops ${short(at("flops"))} · params ${short(at("params"))} · acts ${short(at("acts"))}`;
  const command = panel.querySelector(".command");
  command.replaceChildren();
  if (at("model")) {
    const code = document.createElement("code");
    code.textContent = `regnetlab train "${at("model")}"${at("seed") ? ` --seed ${at("seed")}` : ""}`;
    command.append(code);
  }
}

function listen() {
  for (const plot of plots()) {
    plot.on("plotly_hover", ({ points }) => {
      const number = points.find((point) => Number.isInteger(point.customdata))?.customdata;
      if (number !== undefined) select(number);
    });
    plot.on("plotly_afterplot", mark);
    // A legend switches its space in every figure, as the buttons do.
    const clicked = (alone) => ({ curveNumber, data }) => {
      const space = data[curveNumber].meta?.space;
      if (space === undefined) return true;
      toggleSpace(space, alone);
      return false;
    };
    plot.on("plotly_legendclick", clicked(false));
    plot.on("plotly_legenddoubleclick", clicked(true));
  }
}

// A figure's own numbers: one line a point, with the trace's name.
function figureCsv(id) {
  const lines = [["trace", "x", "y"]];
  for (const trace of page.figures[id].data.map(filled)) {
    const name = [trace.name ?? "", trace.meta?.variant ?? "", trace.meta?.band ? "band" : ""].filter(Boolean).join(" ");
    (trace.y ?? []).forEach((y, i) => { if (y !== null) lines.push([name, trace.x?.[i] ?? "", y]); });
  }
  return lines;
}
