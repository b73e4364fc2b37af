"use strict";
// All text of the guest goes through textContent or fillText: nothing of it is ever parsed as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const make = (tag, text, parent) => {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (parent) parent.append(e);
  return e;
};
const nice = ns => {
  const a = Math.abs(ns);
  if (a >= 1e9) return (ns / 1e9).toFixed(2) + " s";
  if (a >= 1e6) return (ns / 1e6).toFixed(2) + " ms";
  if (a >= 1e3) return (ns / 1e3).toFixed(1) + " µs";
  return ns + " ns";
};
const count = n => n.toLocaleString("en");
// A name has the same colour everywhere.
const colours = new Map();
const colour = name => {
  let c = colours.get(name);
  if (!c) {
    let h = 0;
    for (const ch of name) h = (h * 31 + ch.codePointAt(0)) >>> 0;
    c = `hsl(${h % 360} ${45 + h % 25}% ${68 + (h >> 8) % 12}%)`;
    colours.set(name, c);
  }
  return c;
};

const body = document.body;
make("h1", data.name, body);
const tip = make("div", "", body);
tip.id = "tip";
const showTip = (ev, text) => {
  tip.textContent = text;
  tip.style.display = "block";
  tip.style.left = Math.min(ev.clientX + 14, innerWidth - tip.offsetWidth - 8) + "px";
  tip.style.top = Math.min(ev.clientY + 14, innerHeight - tip.offsetHeight - 8) + "px";
};
const hideTip = () => { tip.style.display = "none"; };

// The flame graph: nodes are [name, total, self, count, children].
const flameGraph = (tree, number, what) => {
  const search = make("input", undefined, body);
  search.id = "search";
  search.type = "search";
  search.placeholder = "search (a regular expression)";
  const found = make("span", "", body);
  found.id = "found";
  const flame = make("div", undefined, body);
  flame.id = "flame";
  let wanted = null, path = [tree];
  const draw = () => {
    flame.replaceChildren();
    let rows = 0;
    const put = (n, depth, left, share, chain) => {
      rows = Math.max(rows, depth + 1);
      const e = make("div", n[0], flame);
      if (wanted) e.className = wanted.test(n[0]) ? "hit" : "miss";
      e.style.left = left * 100 + "%";
      e.style.width = share * 100 + "%";
      e.style.top = depth * 20 + "px";
      e.style.background = depth < path.length ? "#c9d1da" : colour(n[0]);
      const text = `${n[0]}\n${number(n[1])} in all, ${number(n[2])} itself` + (n[3] ? `, ${count(n[3])} ${what}` : "") + `\n${(n[1] / Math.max(tree[1], 1) * 100).toFixed(1)} % of all`;
      e.onpointermove = ev => showTip(ev, text);
      e.onpointerleave = hideTip;
      e.onclick = () => { hideTip(); path = depth < path.length - 1 ? path.slice(0, depth + 1) : chain; draw(); };
      if (depth < path.length - 1) { put(path[depth + 1], depth + 1, 0, 1, path.slice(0, depth + 2)); return; }
      let x = left;
      for (const c of n[4]) {
        const w = share * c[1] / Math.max(n[1], 1);
        if (w > 0.0008) put(c, depth + 1, x, w, [...chain, c]);
        x += w;
      }
    };
    put(path[0], 0, 0, 1, [path[0]]);
    flame.style.height = rows * 20 + "px";
  };
  // How much lies in what was searched, each node of a nest once.
  const matched = n => wanted.test(n[0]) ? n[1] : n[4].reduce((sum, c) => sum + matched(c), 0);
  search.oninput = () => {
    try { wanted = search.value ? new RegExp(search.value, "i") : null; } catch { found.textContent = " not a regular expression"; return; }
    found.textContent = wanted ? ` ${(matched(tree) / Math.max(tree[1], 1) * 100).toFixed(1)} %` : "";
    draw();
  };
  draw();
};
