// Sorting and filtering of the table, and a trial highlighted in all of the page at once. Without it the page is whole.
"use strict";
(() => {
  const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
  document.documentElement.classList.add("js");

  const body = document.querySelector("#trials tbody");
  const rows = all("tr", body);
  const orders = ["ascending", "descending", "none"];

  function value(row, column) {
    const cell = row.cells[column];
    return "sort" in cell.dataset ? cell.dataset.sort : cell.textContent.trim();
  }

  function sort(column, order) {
    const values = new Map(rows.map((row) => [row, value(row, column)]));
    const numbers = rows.every((row) => values.get(row) === "" || Number.isFinite(Number(values.get(row))));
    const sign = order === "descending" ? -1 : 1;
    const compare = (one, other) => {
      const [a, b] = [values.get(one), values.get(other)];
      if (a === "" || b === "") return (a === "") - (b === "");
      return sign * (numbers ? a - b : a.localeCompare(b, undefined, { numeric: true }));
    };
    body.append(...(order === "none" ? rows : [...rows].sort(compare)));
  }

  all("#trials thead th:not(.still)").forEach((head) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.replaceChildren(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const order = orders[(orders.indexOf(head.getAttribute("aria-sort")) + 1) % orders.length];
      all("#trials thead [aria-sort]").forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", order);
      sort(head.cellIndex, order);
    });
  });

  const find = document.getElementById("find");
  const filters = { status: document.getElementById("by-status"), backbone: document.getElementById("by-backbone") };
  const shown = document.getElementById("shown");

  function filter() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    rows.forEach((row) => {
      const text = row.textContent.toLowerCase();
      const chosen = Object.entries(filters).every(([name, by]) => !by || !by.value || row.dataset[name] === by.value);
      row.hidden = !chosen || !words.every((word) => text.includes(word));
      count += !row.hidden;
    });
    shown.textContent = shown.dataset.text.replace("{shown}", count).replace("{all}", rows.length);
  }

  [find, filters.status, filters.backbone].forEach((by) => by && by.addEventListener("input", filter));
  filter();

  const plots = all(".plot").map((plot) => ({
    strokes: plot.querySelector(".strokes"),
    lines: all(".strokes g", plot).map((line) => ({ line, trial: line.dataset.trial, points: points(line) })),
    told: plot.closest("section").querySelector(".told"),
    choose: plot.closest("section").querySelector(".choose"),
    plot,
  }));
  const keys = all(".key").map((key) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "key";
    button.dataset.trial = key.dataset.trial;
    button.append(...key.childNodes);
    key.replaceWith(button);
    return button;
  });
  let pinned = "";

  function points(line) {
    const found = line.querySelector("path").getAttribute("d").matchAll(/([ML])(-?\d+) (-?\d+)/g);
    return Array.from(found, ([, kind, x, y]) => ({ begins: kind === "M", x: Number(x), y: Number(y) }));
  }

  function highlight(trial) {
    plots.forEach(({ strokes, lines, told }) => {
      let words = told.dataset.none;
      lines.forEach(({ line, trial: its }) => {
        line.classList.toggle("lit", its === trial);
        if (its === trial) words = line.querySelector("title").textContent;
      });
      strokes.classList.toggle("dimmed", words !== told.dataset.none);
      if (told.textContent !== words) told.textContent = words;
    });
    rows.forEach((row) => row.classList.toggle("lit", row.dataset.trial === trial));
  }

  function pin(trial) {
    pinned = trial;
    plots.forEach(({ choose }) => { choose.value = trial; });
    keys.forEach((key) => key.setAttribute("aria-pressed", String(key.dataset.trial === trial)));
    highlight(trial);
  }

  function distance(at, from, to) {
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const along = Math.min(Math.max(((at.x - from.x) * dx + (at.y - from.y) * dy) / (dx * dx + dy * dy || 1), 0), 1);
    return Math.hypot(at.x - from.x - along * dx, at.y - from.y - along * dy);
  }

  function nearest({ strokes, lines }, event) {
    const frame = strokes.getBoundingClientRect();
    const at = { x: event.clientX - frame.left, y: event.clientY - frame.top };
    const scaled = (point) => ({ x: (point.x * frame.width) / 1000, y: (point.y * frame.height) / 1000 });
    let best = { away: 24, trial: "" };
    lines.forEach(({ trial, points: corners }) => {
      corners.forEach((corner, index) => {
        const from = corner.begins || !index ? corner : corners[index - 1];
        const away = distance(at, scaled(from), scaled(corner));
        if (away <= best.away) best = { away, trial };
      });
    });
    return best.trial;
  }

  plots.forEach((one) => {
    one.plot.addEventListener("pointermove", (event) => highlight(nearest(one, event) || pinned));
    one.plot.addEventListener("pointerleave", () => highlight(pinned));
    one.plot.addEventListener("click", (event) => pin(nearest(one, event)));
    one.choose.addEventListener("input", () => pin(one.choose.value));
  });
  keys.forEach((key) => {
    key.setAttribute("aria-pressed", "false");
    key.addEventListener("click", () => pin(pinned === key.dataset.trial ? "" : key.dataset.trial));
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") pin(""); });
  window.addEventListener("beforeprint", () => all("details").forEach((one) => { one.open = true; }));
})();
