// An archive of data, sent as it is to where the API takes one, with how far it has come.

const form = document.getElementById("upload");
const bar = document.getElementById("upload-progress");
const mistake = document.getElementById("upload-mistake");

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  mistake.textContent = "";
  button.disabled = true;
  try {
    const name = document.getElementById("upload-name").value.trim();
    await register(name);
    await send(name, document.getElementById("upload-file").files[0]);
    location.assign(`/data/${encodeURIComponent(name)}`);
  } catch (error) {
    mistake.textContent = error.message;
  } finally {
    button.disabled = false;
    bar.hidden = true;
  }
});

async function register(name) {
  const answer = await fetch(form.dataset.registers, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ name }),
  });
  if (!answer.ok) throw new Error(told(await answer.text(), answer.statusText));
}

// Fetch does not tell how much has been sent.
function send(name, file) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${form.dataset.registers}/${encodeURIComponent(name)}/archive`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      bar.hidden = false;
      bar.value = (100 * loaded) / total;
    });
    request.addEventListener("load", () =>
      request.status < 300 ? resolve() : reject(new Error(told(request.responseText, request.statusText))));
    request.addEventListener("error", () => reject(new Error(form.dataset.failed)));
    request.send(file);
  });
}

function told(body, otherwise) {
  try {
    const problem = JSON.parse(body);
    return problem.errors?.map(({ message }) => message).join("; ") || problem.detail;
  } catch {
    return otherwise;
  }
}
