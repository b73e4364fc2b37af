// The page of a profile: a flame graph.
const bytes = n => n >= 1 << 20 ? (n / (1 << 20)).toFixed(1) + " MiB" : n >= 1 << 10 ? (n / (1 << 10)).toFixed(1) + " KiB" : n + " B";
const number = { nanoseconds: nice, bytes }[data.unit] || count;
for (const note of data.notes) make("p", note, body);
make("p", "Width: " + data.what + ". Click: zoom in · click the top: back", body);
flameGraph(data.tree, number, "samples");
body.dataset.ready = "yes"; // for tests: everything was drawn
