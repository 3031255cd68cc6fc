// The figures: drawn in the page's colours, spaces switched together, one network marked in all of them.

const page = JSON.parse(document.getElementById("data").textContent);
const networks = page.networks;
const plots = () => [...document.querySelectorAll(".plot")];
const hidden = new Set();
let variant = "plain";
let selected = null;
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const narrow = window.matchMedia("(max-width: 40rem)");
const coarse = window.matchMedia("(pointer: coarse)");
const PRINTED = 680; // pixels: the width of A4 between its margins
let pinned = false;

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
  copy.margin = { ...copy.margin, t: copy.margin.t - (coarse.matches ? 22 : 0) };
  if (narrow.matches) Object.assign(copy.margin, { l: 44, r: 6 });
  copy.hoverlabel.font.family = copy.font.family;
  copy.modebar = { bgcolor: "rgba(0,0,0,0)", color: colour("--quiet"), activecolor: colour("--accent") };
  copy.legend = { ...copy.legend, itemclick: false, itemdoubleclick: false };
  copy.dragmode = coarse.matches ? false : "zoom"; // a swipe scrolls the page
  if (document.documentElement.classList.contains("printing")) copy.width = PRINTED;
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
  return traces.map((trace) => shows(trace, spaces.size <= 2));
}

function drawFigure(place) {
  const figure = page.figures[place.dataset.figure];
  const shown = visible(figure.data);
  const data = figure.data.map((trace, i) => ({ ...filled(trace), visible: shown[i] }));
  place.style.height = `${figure.layout.height}px`; // which Plotly takes where it is asked for a size meanwhile
  return Plotly.react(place, data, themed(figure.layout), {
    responsive: true, displaylogo: false, displayModeBar: coarse.matches ? false : "hover", doubleClickDelay: 400,
    doubleClick: coarse.matches ? false : "reset+autosize", // a tap also arrives as the mouse's click
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
  });
}

async function drawAll() {
  for (const place of plots()) await drawFigure(place);
  mark();
}

// Names of points where they have room: each takes the first place beside its point that is free, or none.
const BESIDE = [["top center", 0, -1], ["bottom center", 0, 1], ["middle right", 1, 0], ["middle left", -1, 0],
  ["top right", 1, -1], ["top left", -1, -1], ["bottom right", 1, 1], ["bottom left", -1, 1]];
const ruler = document.createElement("canvas").getContext("2d");

function nameWhereFree(plot) {
  const full = plot._fullLayout;
  const named = (plot.data ?? []).map((trace, i) => [trace, i]).filter(([trace]) => trace.meta?.labels);
  if (!named.length || !full?.xaxis?._length) return;
  const { xaxis, yaxis } = full, size = named[0][0].textfont.size, room = 8;
  ruler.font = `${size}px ${full.font.family}`;
  const points = named.flatMap(([trace, i]) => trace.x.map((x, j) => ({
    trace: i, j, text: page.figures[plot.dataset.figure].data[i].text[j], x: xaxis.d2p(x), y: yaxis.d2p(trace.y[j]),
  })));
  const taken = points.map(({ x, y }) => [x - room, y - room, x + room, y + room]);
  const free = (box) => box[0] >= 0 && box[2] <= xaxis._length && box[1] >= 0 && box[3] <= yaxis._length
    && taken.every((other) => box[2] < other[0] || other[2] < box[0] || box[3] < other[1] || other[3] < box[1]);
  const text = named.map(([trace]) => trace.x.map(() => "")), position = named.map(([trace]) => trace.x.map(() => "top center"));
  for (const point of points) {
    const width = ruler.measureText(point.text).width + 4, height = size + 4;
    for (const [name, across, down] of BESIDE) {
      const x = point.x + across * room + (across - 1) * width / 2, y = point.y + down * (room + 2) + (down - 1) * height / 2;
      const box = [x, y, x + width, y + height];
      if (!free(box)) continue;
      taken.push(box);
      const at = named.findIndex(([, i]) => i === point.trace);
      text[at][point.j] = point.text;
      position[at][point.j] = name;
      break;
    }
  }
  const now = named.map(([trace]) => [trace.text, trace.textposition]);
  if (JSON.stringify(now) === JSON.stringify(text.map((each, i) => [each, position[i]]))) return;
  Plotly.restyle(plot, { text, textposition: position }, named.map(([, i]) => i));
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

// Marks a network everywhere and shows it beside what was pointed at, which stays where it is on the screen.
function select(number, near = null) {
  const before = near?.getBoundingClientRect().top;
  if (near) dock(near);
  if (number !== selected) {
    selected = number;
    mark();
    showPanel();
    for (const row of document.querySelectorAll("#table tr[aria-selected]")) row.removeAttribute("aria-selected");
    if (number !== null) document.querySelector(`#table tr[data-number="${number}"]`)?.setAttribute("aria-selected", "true");
  }
  const moved = near ? near.getBoundingClientRect().top - before : 0;
  if (moved) window.scrollBy({ top: moved, behavior: "instant" });
}

function dock(near) {
  const panel = document.getElementById("panel"), host = near.closest("figure, .scroll, .card, .use");
  if (!host || panel.dataset.host === near.id && near.id || panel.previousElementSibling === host) return;
  if (host.matches("figure")) host.querySelector(":scope > .plot, :scope > .matrix").after(panel);
  else if (host.matches(".scroll")) host.after(panel);
  else host.append(panel);
  panel.dataset.host = near.id;
}

function trainingOf(number) {
  const model = networks.model[number];
  if (!model) return "";
  const [before, between, after] = page.command;
  return page.command.length ? `${before}'${model}'${between}${networks.seed[number]}${after}` : `regnetlab summary '${model}'`;
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
  const command = trainingOf(selected), known = page.command.length > 0;
  panel.querySelector(".command").hidden = !command;
  setCommand(panel.querySelector(".command code"), command);
  panel.querySelector(".about").textContent = !command ? "" : !known ? "Its layers:"
    : page.trainings > 1 ? `The error is the mean of ${page.trainings} trainings. This repeats the one with ${at("first").toFixed(2)}%:`
    : "This repeats the training, with the same error on the same kind of machine:";
}

// A command whose words stay whole where it is wrapped.
function setCommand(code, text) {
  const parts = text.split(/(\s+)/).map((part) => (part.trim() ? Object.assign(document.createElement("span"), { textContent: part }) : part));
  code.replaceChildren(...parts);
}

// Where a page from disk may not use the clipboard, the text is selected and copied the old way.
async function copy(button) {
  const code = button.parentElement.querySelector("code");
  let copied = true;
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    const area = Object.assign(document.createElement("textarea"), { value: code.textContent, readOnly: true });
    area.style.cssText = "position:fixed;top:0;opacity:0";
    document.body.append(area);
    area.select();
    copied = document.execCommand("copy");
    area.remove();
    button.focus();
  }
  if (!copied) getSelection().selectAllChildren(code);
  button.textContent = copied ? "copied" : "press Ctrl+C";
  setTimeout(() => { button.textContent = "copy"; }, 2000);
}

// Pointing shows a network; a click keeps it until another click, so that its command can be reached.
function listen() {
  for (const plot of plots()) {
    const found = ({ points }) => points.find((point) => Number.isInteger(point.customdata))?.customdata;
    plot.on("plotly_hover", (event) => {
      if (!pinned && found(event) !== undefined) select(found(event), plot);
    });
    plot.on("plotly_click", (event) => {
      if (found(event) === undefined) return;
      pinned = true;
      select(found(event), plot);
    });
    plot.on("plotly_afterplot", () => { mark(); nameWhereFree(plot); });
    nameWhereFree(plot);
  }
}

// On paper: light, as wide as the sheet, everything unfolded, and a key at each figure instead of the buttons.
let unfolded = [];
function print(on) {
  document.documentElement.classList.toggle("printing", on);
  for (const old of document.querySelectorAll(".key.printed")) old.remove();
  if (on) unfolded = [...document.querySelectorAll("details:not([open])")];
  for (const each of unfolded) each.open = on;
  for (const plot of plots()) {
    const drawn = drawFigure(plot);
    if (!on) drawn.then(() => Plotly.relayout(plot, { autosize: true }));
    const spaces = new Set(page.figures[plot.dataset.figure].data.map((trace) => trace.meta?.space));
    const key = Object.assign(document.createElement("p"), { className: "key printed" });
    for (const button of on ? document.querySelectorAll("[data-space][aria-pressed=true]") : []) {
      if (!spaces.has(button.dataset.space)) continue;
      const entry = document.createElement("span");
      entry.append(...[...button.childNodes].map((node) => node.cloneNode(true)));
      key.append(entry);
    }
    if (key.children.length) plot.after(key);
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
