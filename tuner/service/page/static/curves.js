// Learning curves, all drawing by uPlot: another library would need another file like this one, and nothing else.

const box = document.getElementById("curves");
const choose = document.getElementById("highlight");
const told = document.getElementById("told");
const WIDTHS = { "of-others": 1.2, "of-running": 1.8, "of-baseline": 2.2, "place-1": 3.2 };
const DASHES = { "of-baseline": [6, 4], "of-running": [2, 2], "place-2": [14, 3], "place-3": [8, 3], "place-4": [8, 3, 2, 3], "place-5": [4, 3] };
const COLOURS = { "of-others": "--others", "of-running": "--accent", "of-baseline": "--ink" };

const known = new Map(); // trial -> its points
let latest = { seq: -1, order: [], rungs: [], epochs: 0, limits: [0, 1], left_out: 0 };
let plot = null;
let drawn = []; // trials in the order of the plot's series, the best last, over all others
let looks = "";
let pinned = "";
let asking = false;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// x: every epoch of any trial; `undefined` where a trial has none there, which its line passes over
function aligned() {
  const epochs = [...new Set(drawn.flatMap((trial) => known.get(trial).epochs))].sort((a, b) => a - b);
  const at = new Map(epochs.map((epoch, index) => [epoch, index]));
  return [epochs, ...drawn.map((trial) => {
    const values = new Array(epochs.length);
    known.get(trial).epochs.forEach((epoch, index) => { values[at.get(epoch)] = known.get(trial).values[index]; });
    return values;
  })];
}

function series([trial, look]) {
  return {
    label: trial,
    stroke: colour(COLOURS[look] ?? `--${look}`),
    width: WIDTHS[look] ?? 2.4,
    dash: DASHES[look],
    points: { show: () => known.get(trial).epochs.length === 1 || trial === pinned, size: 6 },
  };
}

function drawRungs(u) {
  u.ctx.save();
  u.ctx.strokeStyle = colour("--faint");
  u.ctx.lineWidth = devicePixelRatio;
  u.ctx.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio]);
  for (const rung of latest.rungs) {
    const x = u.valToPos(rung, "x", true);
    u.ctx.beginPath();
    u.ctx.moveTo(x, u.bbox.top);
    u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
    u.ctx.stroke();
  }
  u.ctx.restore();
}

function options() {
  const axis = { stroke: colour("--ink"), grid: { stroke: colour("--rule"), width: 1 }, ticks: { show: false }, font: "13px system-ui" };
  return {
    ...size(),
    legend: { show: false },
    cursor: { x: false, y: false, drag: { x: false, y: false }, focus: { prox: 24 }, points: { show: false } },
    focus: { alpha: 0.2 },
    scales: { x: { time: false, range: () => [0, Math.max(latest.epochs, 1)] }, y: { range: () => latest.limits } },
    axes: [
      { ...axis, grid: { show: false }, label: box.dataset.axis, size: 30, labelSize: 22, labelFont: "13px system-ui", incrs: latest.epochs < 3 ? [0.125, 0.25, 0.5, 1] : [1, 2, 5, 10, 20, 50, 100] },
      { ...axis, size: 58 },
    ],
    series: [{}, ...[...latest.order].reverse().map(series)],
    hooks: { draw: [drawRungs], setSeries: [(u, index) => tell(index)] },
  };
}

function size() {
  return { width: Math.max(box.clientWidth, 240), height: box.clientWidth < 560 ? 300 : 400 };
}

function draw() {
  if (!latest.order.length) return;
  drawn = latest.order.map(([trial]) => trial).reverse();
  const now = JSON.stringify([latest.order, latest.epochs < 3]);
  if (plot && now === looks) {
    plot.setData(aligned());
  } else {
    plot?.destroy();
    box.replaceChildren();
    plot = new uPlot(options(), aligned(), box);
    plot.over.addEventListener("mouseleave", () => requestAnimationFrame(show));
    plot.over.addEventListener("click", () => pin(focused ?? ""));
    looks = now;
    offer();
  }
  document.getElementById("left-out").textContent = latest.left_out ? box.dataset.leftOut.replace("{count}", latest.left_out) : "";
  show();
}

function offer() {
  const wanted = ["", ...latest.order.map(([trial]) => trial)];
  const none = choose.options[0].text;
  choose.replaceChildren(...wanted.map((trial) => new Option(trial || none, trial)));
  choose.value = pinned;
}

let focused = null;

function tell(index) {
  focused = index ? drawn[index - 1] : null;
  const trial = focused ?? pinned;
  const words = known.get(trial)?.told ?? told.dataset.none;
  if (told.textContent !== words) told.textContent = words;
  document.querySelectorAll("#trials tr").forEach((row) => row.classList.toggle("lit", row.dataset.trial === trial));
}

// The pinned trial over all others, in the picture and in the table; again after each change of the page.
function show() {
  const index = drawn.indexOf(pinned);
  plot?.setSeries(index < 0 ? null : index + 1, { focus: true });
  tell(index < 0 ? null : index + 1);
  choose.value = pinned;
  document.querySelectorAll("button.key").forEach((key) => key.setAttribute("aria-pressed", String(key.dataset.trial === pinned)));
}

function pin(trial) {
  pinned = trial;
  show();
  plot?.redraw();
}

async function ask() {
  if (asking) return;
  asking = true;
  const wanted = shownSeq();
  try {
    const answer = await fetch(`${box.dataset.address}?after=${latest.seq}`);
    if (!answer.ok) return;
    const found = await answer.json();
    found.curves.forEach((curve) => known.set(curve.trial, curve));
    if (found.order.every(([trial]) => known.has(trial))) {
      latest = found;
      draw();
    } else {
      latest.seq = -1; // another search by this name, or one whose log was cut: all of it, with the next news
    }
  } catch {
    // the server is away; it is asked again with the next news
  } finally {
    asking = false;
  }
  if (shownSeq() > wanted) ask(); // news came meanwhile
}

function shownSeq() {
  return Number(document.getElementById("board").dataset.seq);
}

choose.addEventListener("input", () => pin(choose.value));
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && pinned) pin(""); });
document.addEventListener("click", (event) => {
  const key = event.target.closest("button.key");
  if (key) pin(pinned === key.dataset.trial ? "" : key.dataset.trial);
});
document.addEventListener("htmx:after:swap", () => {
  if (shownSeq() > latest.seq) ask();
  show();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { looks = ""; draw(); });
new ResizeObserver(() => plot?.setSize(size())).observe(box);
ask();
