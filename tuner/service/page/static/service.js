// What the pages do beyond links, forms and htmx: dialogs, copying, and whether news still arrive.

document.addEventListener("click", (event) => {
  const opens = event.target.closest("[data-opens]");
  if (opens) document.getElementById(opens.dataset.opens)?.showModal();
  event.target.closest("[data-closes]")?.closest("dialog").close();
  const copies = event.target.closest("[data-copies]");
  if (copies) copy(copies);
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
});

// A column or "more" that was pressed is kept in the form: news that come before its answer ask for it as well.
document.addEventListener("submit", ({ submitter }) => {
  const kept = submitter?.name && document.querySelector(`#board > input[name="${submitter.name}"]`);
  if (kept) kept.value = submitter.value;
}, true);

async function copy(button) {
  const told = document.getElementById("copied");
  try {
    const answer = await fetch(button.dataset.copies);
    if (!answer.ok) throw new Error(answer.statusText);
    await write(await answer.text());
    told.textContent = button.dataset.done;
  } catch {
    told.textContent = button.dataset.failed;
  }
}

async function write(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea"); // by plain HTTP from another machine there is no clipboard
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("not allowed");
}

const stream = document.getElementById("stream");

function tell(state) {
  stream.dataset.state = state;
  stream.textContent = stream.dataset[state];
}

stream?.addEventListener("htmx:sse:after:connection", () => tell("live"));
for (const lost of ["htmx:sse:error", "htmx:sse:close"]) stream?.addEventListener(lost, () => tell("lost"));

// htmx's own history would load the page again on the way back from a section.
document.addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
  if (ctx.hx.replaceurl) history.replaceState(null, "", ctx.hx.replaceurl + location.hash);
});

document.addEventListener("htmx:response:error", (event) => {
  if (event.detail.ctx.response.status === 401) location.reload(); // to where one logs in
});

let follows = true;

document.addEventListener("htmx:before:swap", () => {
  const log = document.getElementById("log-text");
  follows = !log || log.scrollHeight - log.scrollTop - log.clientHeight < 40;
});

function toEndOfLog() {
  const log = document.getElementById("log-text");
  if (log && follows) log.scrollTop = log.scrollHeight;
}

document.addEventListener("htmx:after:swap", toEndOfLog);
toEndOfLog();
