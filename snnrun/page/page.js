"use strict";
// Draws the charts of a page, sorts its tables, and, where it is served, takes what is new.

const content = {
  charts: JSON.parse(document.getElementById("charts").textContent),
  watched: JSON.parse(document.getElementById("watched").textContent),
};
const drawn = new Map(); // name of a chart -> the mark of what it shows
const sorted = new Map(); // name of a table -> column and direction
const marks = new Map(Object.entries(JSON.parse(document.getElementById("marks").textContent))); // of parts
const PRINTED_WIDTH = 680;
const MANY_POINTS = 20000; // from which on WebGL draws them, where there is any
let printing = false;

// Looks

const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => !printing && (document.documentElement.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function colour(name, share) {
  const hex = css(/^\d$/.test(name) ? `c${name}` : name);
  if (!share) return hex;
  const [r, g, b] = [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
  return `rgba(${r},${g},${b},${share})`;
}

// Returns a copy in which names of colours are colours; packed numbers stay as they are.
function painted(value) {
  if (typeof value === "string") {
    const found = /^@(\d|ink|muted|paper)(?:\/([\d.]+))?$/.exec(value);
    return found ? colour(found[1], found[2]) : value;
  }
  if (Array.isArray(value)) return value.map(painted);
  if (value === null || typeof value !== "object" || "bdata" in value) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, painted(one)]));
}

function layoutOf(own) {
  const ink = css("ink"), grid = css("line");
  const axis = { gridcolor: grid, linecolor: grid, zerolinecolor: grid, zeroline: false, automargin: true, ticks: "" };
  const axes = Object.entries(painted(own)).map(([name, value]) => {
    // A zoom stays where the quantity is the same, also in another view
    return [name, /^[xy]axis/.test(name) ? { ...value, uirevision: value.title?.text ?? "" } : value];
  });
  return {
    template: { layout: { xaxis: axis, yaxis: axis, annotationdefaults: { font: { color: ink } } } },
    font: { family: css("font"), size: 12, color: ink },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 60, r: 14, t: 12, b: 46 },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" },
    hovermode: "closest",
    hoverlabel: { bgcolor: css("card"), bordercolor: grid, font: { color: ink } },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    uirevision: "kept",
    ...Object.fromEntries(axes),
  };
}

const webgl = (() => {
  try {
    return Boolean(document.createElement("canvas").getContext("webgl"));
  } catch {
    return false;
  }
})();

function tracesOf(view) {
  return view.data.map((trace) => {
    const points = trace.points || 0;
    const one = painted(trace);
    delete one.points;
    if (trace.type === "scatter" && points > MANY_POINTS && webgl && !printing) one.type = "scattergl";
    return one;
  });
}

// Charts

function viewOf(figure) {
  const { views } = content.charts[figure.id];
  const select = figure.querySelector("select");
  return views[select ? Math.max(0, select.selectedIndex) : 0];
}

function choices(figure) {
  const select = figure.querySelector("select");
  if (!select) return;
  const labels = content.charts[figure.id].views.map((view) => view.label);
  const before = [...select.options].map((option) => option.value);
  if (labels.join("\n") === before.join("\n")) return;
  const latest = figure.classList.contains("latest");
  const follows = latest && select.selectedIndex === before.length - 1; // nobody chose another one
  const kept = follows ? -1 : labels.indexOf(select.value);
  select.replaceChildren(...labels.map((label) => new Option(label, label)));
  select.selectedIndex = kept >= 0 ? kept : latest ? labels.length - 1 : 0;
  select.onchange = () => draw(figure);
}

function draw(figure) {
  const plot = figure.querySelector(".plot");
  const view = viewOf(figure);
  const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] };
  drawn.set(figure.id, content.charts[figure.id].mark);
  const layout = layoutOf(view.layout);
  const named = view.data.filter((trace) => trace.showlegend !== false && trace.name).length;
  if (plot.clientWidth < 480 && named > 6) layout.showlegend = false; // it would fill the chart
  // Set, and taken back afterwards: the width of the paper is known to nobody before it is printed
  const size = printing ? { autosize: false, width: PRINTED_WIDTH, height: parseInt(plot.style.height) } : { autosize: true };
  return Plotly.react(plot, tracesOf(view), { ...layout, ...size }, config);
}

const figures = () => [...document.querySelectorAll("figure.chart")];
const redraw = () => figures().filter((one) => drawn.has(one.id)).forEach((one) => draw(one));

const nearby = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting && !drawn.has(target.id)) draw(target);
    }
  },
  { rootMargin: "400px" },
);

function prepare(root) {
  for (const figure of root.querySelectorAll("figure.chart")) {
    choices(figure);
    nearby.observe(figure);
  }
  root.querySelectorAll("table.sorts").forEach(sortable);
  root.querySelectorAll(".pair").forEach(compareTwo);
}

// Tables

function sortable(table) {
  const name = table.closest(".part").id;
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    heading.tabIndex = 0;
    heading.title = "Sort by this column";
    const sort = () => {
      const [before, falls] = sorted.get(name) || [-1, false];
      sorted.set(name, [column, before === column && !falls]);
      order(table, headings);
    };
    heading.onclick = sort;
    heading.onkeydown = (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        sort();
      }
    };
  });
  if (sorted.has(name)) order(table, headings);
}

function order(table, headings) {
  const [column, falls] = sorted.get(table.closest(".part").id);
  const key = (row) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent;
    const number = text.trim() === "" || text === "-" ? NaN : Number(text);
    return [number, text];
  };
  const compare = ([a, one], [b, other]) => {
    if (Number.isNaN(a) && Number.isNaN(b)) return falls ? other.localeCompare(one) : one.localeCompare(other);
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) ? 1 : -1; // numbers first
    return falls ? b - a : a - b;
  };
  const rows = [...table.tBodies[0].rows].map((row) => [key(row), row]);
  rows.sort(([a], [b]) => compare(a, b));
  table.tBodies[0].append(...rows.map(([, row]) => row));
  headings.forEach((heading, k) => {
    if (k === column) heading.setAttribute("aria-sort", falls ? "descending" : "ascending");
    else heading.removeAttribute("aria-sort");
  });
}

// Differences of two runs

document.addEventListener("change", (event) => {
  const box = event.target.closest(".pair");
  if (!box) return;
  compareTwo(box);
});

function compareTwo(box) {
  const [one, two] = [...box.querySelectorAll("select")].map((select) => select.selectedIndex);
  const rows = [...box.querySelectorAll("tbody tr")];
  let shown = 0;
  for (const row of rows) {
    const values = JSON.parse(row.dataset.values);
    row.hidden = values[one] === values[two];
    shown += !row.hidden;
    row.cells[1].textContent = values[one] ?? "-";
    row.cells[2].textContent = values[two] ?? "-";
  }
  box.querySelector("output").textContent = shown ? "" : "They differ in no key.";
}

// Light, dark, paper

const button = document.getElementById("theme");

function themed() {
  button.textContent = isDark() ? "Light" : "Dark";
  redraw();
}

button.onclick = () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  themed();
};
dark.onchange = themed;

addEventListener("beforeprint", () => {
  printing = true;
  document.documentElement.dataset.print = "";
  figures().forEach((one) => draw(one));
});
addEventListener("afterprint", () => {
  printing = false;
  delete document.documentElement.dataset.print;
  redraw();
});

// News

async function follow() {
  const { every, stamp } = content.watched;
  const news = document.getElementById("news");
  try {
    const token = new URLSearchParams(location.search).get("token") || "";
    const asked = new URLSearchParams({ token, seen: stamp });
    const answer = await fetch(`news?${asked}`, { cache: "no-store" });
    if (answer.status === 200) take(await answer.json());
    else if (answer.status !== 204) throw new Error(await answer.text());
    news.textContent = content.watched.said;
  } catch (error) {
    news.textContent = `No answer from snnrun watch: ${error.message}. What is shown may be old.`;
  }
  setTimeout(follow, every * 1000);
}

function take(fresh) {
  content.charts = fresh.charts;
  content.watched = fresh.watched;
  document.title = fresh.title;
  document.getElementById("title").textContent = fresh.title;
  const main = document.querySelector("main");
  const names = fresh.sections.map((section) => section.name);
  const there = [...main.children].map((section) => section.id);
  if (names.join() !== there.join()) rebuild(main, fresh.sections);
  for (const section of fresh.sections) refresh(document.getElementById(section.name), section.parts);
  for (const figure of figures()) {
    choices(figure);
    if (drawn.has(figure.id) && drawn.get(figure.id) !== content.charts[figure.id].mark) draw(figure);
  }
}

function rebuild(main, sections) {
  const known = new Map([...main.children].map((section) => [section.id, section]));
  const made = sections.map(({ name, title }) => {
    if (known.has(name)) return known.get(name);
    const section = document.createElement("section");
    section.id = name;
    section.append(Object.assign(document.createElement("h2"), { textContent: title }));
    section.append(Object.assign(document.createElement("div"), { className: "parts" }));
    return section;
  });
  main.replaceChildren(...made);
  document.querySelector("nav ul").replaceChildren(
    ...sections.map(({ name, title }) => {
      const link = Object.assign(document.createElement("a"), { href: `#${name}`, textContent: title });
      const item = document.createElement("li");
      item.append(link);
      return item;
    }),
  );
}

function refresh(section, parts) {
  const box = section.querySelector(".parts");
  const there = new Map([...box.children].map((part) => [part.id, part]));
  const kept = parts.map(({ name, html, mark }) => {
    const old = there.get(name);
    if (old && marks.get(name) === mark) return old;
    marks.set(name, mark);
    const made = new DOMParser().parseFromString(html, "text/html").body.firstElementChild;
    drawn.delete(name);
    const boxes = [...made.querySelectorAll(".pair select")];
    old?.querySelectorAll(".pair select").forEach((one, k) => { boxes[k].value = one.value; });
    const details = [...made.querySelectorAll("details")];
    old?.querySelectorAll("details").forEach((one, k) => details[k]?.toggleAttribute("open", one.open));
    const holder = document.createElement("div");
    holder.append(made);
    prepare(holder);
    return made;
  });
  if (kept.some((part, k) => box.children[k] !== part) || kept.length !== box.children.length) {
    box.replaceChildren(...kept);
  }
}

// Start

async function unpacked(text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let k = 0; k < bytes.length; k++) bytes[k] = letters.charCodeAt(k);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

async function start() {
  button.textContent = isDark() ? "Light" : "Dark";
  const packed = document.getElementById("plotly");
  const script = document.createElement("script");
  script.textContent = await unpacked(packed.textContent);
  document.head.append(script);
  packed.remove();
  prepare(document);
  document.documentElement.dataset.ready = "";
  if (content.watched.every) {
    const news = document.getElementById("news");
    news.hidden = false;
    news.textContent = content.watched.said;
    setTimeout(follow, content.watched.every * 1000);
  }
}

start().catch((error) => {
  const news = document.getElementById("news");
  news.hidden = false;
  news.textContent = `The charts cannot be drawn by this browser: ${error.message}`;
});
