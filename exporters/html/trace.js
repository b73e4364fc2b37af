// The page of a trace: latency table, timeline, flame graph.
const when = data.unixMs === undefined ? "" : " · from " + new Date(data.unixMs).toISOString().replace("T", " ").replace("Z", " UTC");
make("p", `${nice(data.length)} · ${count(data.total)} spans${when}`, body);

// The latency table.
make("h2", "Latency", body);
const heads = ["Name", "Count", "Errors", "p50", "p90", "p99", "p99.9", "Max", "Total"];
const tableElement = make("table", undefined, body);
tableElement.id = "latency";
const headRow = make("tr", undefined, make("thead", undefined, tableElement));
const rowsElement = make("tbody", undefined, tableElement);
let by = 8, up = false, picked = "";
const drawTable = () => {
  [...headRow.children].forEach((th, i) => th.classList.toggle("by", i === by));
  const rows = [...data.rows].sort((a, b) => (a[by] < b[by] ? -1 : a[by] > b[by] ? 1 : 0) * (up ? 1 : -1));
  rowsElement.replaceChildren(...rows.map(r => {
    const tr = make("tr");
    r.forEach((v, i) => {
      const td = make("td", i === 0 ? v : i <= 2 ? count(v) : nice(v), tr);
      if (i === 2 && v > 0) td.className = "bad";
    });
    tr.classList.toggle("picked", r[0] === picked);
    tr.onclick = () => { picked = picked === r[0] ? "" : r[0]; drawTable(); drawLine(); };
    return tr;
  }));
};
heads.forEach((text, i) => {
  make("th", text, headRow).onclick = () => { up = by === i ? !up : i === 0; by = i; drawTable(); };
});

// The timeline: a band a thread, nested spans below each other.
make("h2", "Timeline", body);
const shown = data.spans.length < data.total ? `the ${count(data.spans.length)} longest of ${count(data.total)} spans` : `all ${count(data.total)} spans`;
const missing = data.moreEvents > 0 ? `, the first ${count(data.events.length)} of ${count(data.events.length + data.moreEvents)} other records` : "";
make("p", `Showing ${shown}${missing}. Wheel: zoom · drag: move · double-click: all · a name in the table: only its spans`, body);
const canvas = make("canvas", undefined, body);
canvas.id = "timeline";
const rowHeight = 16, labelWidth = 130, axis = 20;
const bands = data.threads.map(name => ({ name, depth: 1, spans: [], events: [] }));
for (const s of data.spans) {
  const band = bands[s[0]];
  const open = band.open || (band.open = []);
  while (open.length && open[open.length - 1] <= s[2] && open[open.length - 1] < s[2] + Math.max(s[3], 1)) open.pop();
  open.push(s[2] + s[3]);
  band.depth = Math.max(band.depth, Math.min(open.length, 24));
  band.spans.push([s, Math.min(open.length, 24) - 1]);
}
for (const e of data.events) bands[e[0]].events.push(e);
let y = axis;
for (const band of bands) { band.y = y; y += band.depth * rowHeight + 10; }
const height = Math.max(y, 60);
const length = Math.max(data.length, 1);
let from = 0, to = length;
const width = () => canvas.clientWidth - labelWidth;
const xOf = t => labelWidth + (t - from) / (to - from) * width();
const styleOf = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
function drawLine() {
  const scale = devicePixelRatio || 1;
  canvas.style.height = height + "px";
  canvas.width = canvas.clientWidth * scale;
  canvas.height = height * scale;
  const c = canvas.getContext("2d");
  c.scale(scale, scale);
  c.clearRect(0, 0, canvas.clientWidth, height);
  c.font = "11px system-ui, sans-serif";
  c.textBaseline = "middle";
  const ink = styleOf("--ink"), soft = styleOf("--soft"), line = styleOf("--line"), bad = styleOf("--bad");
  const step = 10 ** Math.floor(Math.log10((to - from) / 4)) * ([1, 2, 5].find(m => (to - from) / 10 ** Math.floor(Math.log10((to - from) / 4)) / m <= 12) || 10);
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) {
    c.fillStyle = line;
    c.fillRect(xOf(t), axis - 4, 1, height);
    c.fillStyle = soft;
    c.fillText(nice(t), xOf(t) + 3, 9);
  }
  for (const band of bands) {
    c.save();
    c.beginPath();
    c.rect(labelWidth, band.y - 2, width(), band.depth * rowHeight + 8);
    c.clip();
    for (const [s, depth] of band.spans) {
      if (s[2] > to || s[2] + s[3] < from) continue;
      const x = xOf(s[2]), w = Math.max(xOf(s[2] + s[3]) - x, 1), name = data.strings[s[1]];
      c.globalAlpha = picked && picked !== name ? 0.15 : 1;
      c.fillStyle = colour(name);
      c.fillRect(x, band.y + depth * rowHeight, w, rowHeight - 1);
      if (s[4]) { c.fillStyle = bad; c.fillRect(x, band.y + depth * rowHeight + rowHeight - 4, w, 3); }
      if (w > 40) {
        c.save();
        c.beginPath();
        c.rect(x, band.y + depth * rowHeight, w, rowHeight);
        c.clip();
        c.fillStyle = "#1b1f24";
        c.fillText(name, Math.max(x, labelWidth) + 3, band.y + depth * rowHeight + rowHeight / 2);
        c.restore();
      }
    }
    c.globalAlpha = 1;
    c.fillStyle = soft;
    for (const e of band.events) if (e[2] >= from && e[2] <= to) c.fillRect(xOf(e[2]), band.y + band.depth * rowHeight, 1, 5);
    c.restore();
    c.save();
    c.beginPath();
    c.rect(0, band.y - 2, labelWidth - 8, rowHeight + 4);
    c.clip();
    c.fillStyle = ink;
    c.fillText(band.name, 6, band.y + rowHeight / 2);
    c.restore();
  }
}
const at = ev => {
  const r = canvas.getBoundingClientRect(), x = ev.clientX - r.left, yy = ev.clientY - r.top;
  const t = from + (x - labelWidth) / width() * (to - from), near = (to - from) / width() * 3;
  for (const band of bands) {
    if (yy < band.y || yy > band.y + band.depth * rowHeight + 6) continue;
    const depth = Math.floor((yy - band.y) / rowHeight);
    let best;
    for (const [s, d] of band.spans) if (d === depth && t >= s[2] - near && t <= s[2] + s[3] + near && (!best || s[3] < best[3])) best = s;
    if (best) return `${data.strings[best[1]]}\n${nice(best[3])} at ${nice(best[2])} · ${band.name}${best[4] ? " · failed" : ""}\n${best[5]}`;
    for (const e of band.events) if (depth >= band.depth && Math.abs(e[2] - t) <= near) return `${data.strings[e[1]]}\nat ${nice(e[2])} · ${band.name}\n${e[3]}`;
  }
  return "";
};
let drag = null;
canvas.onpointerdown = ev => { drag = { x: ev.clientX, from, to }; canvas.setPointerCapture(ev.pointerId); };
canvas.onpointerup = () => { drag = null; };
canvas.onpointermove = ev => {
  if (drag) {
    const d = (ev.clientX - drag.x) / width() * (drag.to - drag.from);
    from = drag.from - d;
    to = drag.to - d;
    drawLine();
    return;
  }
  const text = at(ev);
  if (text) showTip(ev, text); else hideTip();
};
canvas.onpointerleave = hideTip;
canvas.addEventListener("wheel", ev => {
  ev.preventDefault();
  const t = from + (ev.clientX - canvas.getBoundingClientRect().left - labelWidth) / width() * (to - from);
  const f = Math.exp(ev.deltaY / 400);
  if ((to - from) * f < 10) return;
  from = t - (t - from) * f;
  to = t + (to - t) * f;
  if (to - from > length * 1.2) { from = 0; to = length; }
  drawLine();
}, { passive: false });
canvas.ondblclick = () => { from = 0; to = length; drawLine(); };

make("h2", "Flame graph", body);
make("p", "Where the time of all spans went, by thread and caller. Click: zoom in · click the top: back", body);
flameGraph(data.tree, nice, "spans");

drawTable();
drawLine();
addEventListener("resize", drawLine);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawLine);
body.dataset.ready = "yes"; // for tests: everything was drawn
