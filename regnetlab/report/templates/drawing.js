// Small drawings: a network as its blocks, a learning curve.

const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes, parent) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (parent) parent.append(element);
  return element;
}

// One bar per block, as high as the block is wide (channels), a gap between stages.
function drawNetwork(place, depths, widths) {
  place.replaceChildren();
  if (!depths || !widths) return;
  const blocks = depths.reduce((sum, depth) => sum + depth, 0);
  const total = 300, height = 96, gap = 10;
  const step = (total - gap * (depths.length - 1)) / blocks;
  const most = Math.max(...widths);
  const words = depths.map((depth, i) => `stage ${i + 1}: ${depth} ${depth === 1 ? "block" : "blocks"} of width ${widths[i]}`);
  const image = svg("svg", { viewBox: `0 0 ${total} ${height + 20}`, role: "img", "aria-label": words.join(", ") }, place);
  let x = 0;
  depths.forEach((depth, i) => {
    const tall = Math.max(3, (height - 14) * widths[i] / most);
    for (let block = 0; block < depth; block++) {
      svg("rect", { class: "block", x: x + block * step, y: height - tall, width: Math.max(0.8, step - 1.5), height: tall, rx: 1.5, "fill-opacity": 0.45 + 0.55 * (i + 1) / depths.length }, image);
    }
    const middle = x + depth * step / 2;
    svg("text", { x: middle, y: height - tall - 4, "text-anchor": "middle" }, image).textContent = widths[i];
    svg("text", { x: middle, y: height + 14, "text-anchor": "middle" }, image).textContent = `×${depth}`;
    x += depth * step + gap;
  });
}

function drawCurve(place, curve) {
  if (!curve || curve.length < 2) return;
  const total = 300, height = 60;
  const most = Math.max(...curve.map((point) => point[1])), last = curve[curve.length - 1];
  const points = curve.map(([images, error]) => `${4 + (total - 60) * images / last[0]},${height - 6 - (height - 14) * error / most}`);
  const image = svg("svg", { viewBox: `0 0 ${total} ${height}`, role: "img", "aria-label": `training error from ${curve[0][1]} to ${last[1]}%` }, place);
  svg("polyline", { class: "curve", points: points.join(" ") }, image);
  svg("text", { x: total - 52, y: height - 8 - (height - 14) * last[1] / most }, image).textContent = `${last[1].toFixed(1)}%`;
}
