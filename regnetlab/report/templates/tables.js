// Tables: sorting by a click on a column's head, and the table of all networks with search and download.

const PAGE = 25;
const COLUMNS = [
  ["space", "space"], ["error %", "error"], ["network", "label"], ["flops", "flops"], ["params", "params"],
  ["acts", "acts"], ["depth", "depth"], ["growth", "growth"], ["g", "group_width"], ["b", "bottleneck_ratio"],
];
const view = { key: "error", sign: 1, query: "", rows: PAGE };

const before = (a, b, sign) =>
  a === null || b === null ? (a === null) - (b === null) : sign * (typeof a === "number" ? a - b : a.localeCompare(b));

// Sorts a table that stands in the page; empty cells stay last.
function sortTable(header) {
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
  const lines = [...body.rows].map((line) => [key(line), line]);
  lines.sort(([a], [b]) => before(a, b, sign));
  body.append(...lines.map(([, line]) => line));
}

function found() {
  const words = view.query.toLowerCase().split(/\s+/).filter(Boolean);
  const numbers = networks.error.map((_, number) => number).filter((number) => {
    const text = `${networks.title[number]} ${networks.label[number]}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const column = networks[view.key];
  return numbers.sort((a, b) => before(column[a], column[b], view.sign));
}

function cell(key, number) {
  const value = networks[key][number];
  const element = document.createElement("td");
  if (key === "label") {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link";
    button.append(Object.assign(document.createElement("code"), { textContent: value }));
    element.append(button);
  } else if (typeof value === "string") {
    element.textContent = networks.title[number];
  } else {
    element.className = key === "error" ? "n error" : "n";
    element.textContent = value === null ? "–" : key === "error" ? value.toFixed(2) : value.toLocaleString("en", { maximumSignificantDigits: 4 });
  }
  return element;
}

function fillTable() {
  const numbers = found();
  const body = document.querySelector("#table tbody");
  body.replaceChildren(...numbers.slice(0, view.rows).map((number) => {
    const row = document.createElement("tr");
    row.dataset.number = number;
    if (number === selected) row.setAttribute("aria-selected", "true");
    row.append(...COLUMNS.map(([, key]) => cell(key, number)));
    row.addEventListener("mouseenter", () => { if (!pinned) select(number, row); });
    row.addEventListener("focusin", () => select(number, row));
    row.addEventListener("click", () => { pinned = true; select(number, row); });
    return row;
  }));
  document.getElementById("count").textContent = `${numbers.length.toLocaleString("en")} of ${networks.error.length.toLocaleString("en")}`;
  document.getElementById("more").hidden = numbers.length <= view.rows;
}

function makeTable() {
  const heads = COLUMNS.map(([title, key], i) => {
    const head = document.createElement("th");
    head.scope = "col";
    head.className = key === "error" ? "n error" : i > 2 ? "n" : "";
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: title });
    button.addEventListener("click", () => {
      view.sign = view.key === key ? -view.sign : 1;
      view.key = key;
      for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", view.sign > 0 ? "ascending" : "descending");
      fillTable();
    });
    head.append(button);
    if (key === view.key) head.setAttribute("aria-sort", "ascending");
    return head;
  });
  document.querySelector("#table thead tr").append(...heads);
  fillTable();
}

function networksCsv() {
  const keys = Object.keys(networks).filter((key) => key !== "curve" && key !== "title");
  return [keys, ...found().map((number) => keys.map((key) => {
    const value = networks[key][number];
    return Array.isArray(value) ? value.join(" ") : value ?? "";
  }))];
}

function download(name, lines) {
  const quoted = (value) => (/[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
  const text = lines.map((line) => line.map(quoted).join(",")).join("\n") + "\n";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = `${name}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
