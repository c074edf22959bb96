// Sends files in pieces, so that a cut line costs one piece; without a script a plain form does it.
const PIECE = 4 * 1024 * 1024;
const TRIES = 6;
const form = document.querySelector("[data-drop]");
const list = document.querySelector("[data-files]");
const input = form.querySelector("input[type=file]");
const said = form.dataset;

form.querySelector("[data-send]").hidden = true;
form.addEventListener("submit", (event) => event.preventDefault());
input.addEventListener("change", () => take(input.files));
for (const name of ["dragenter", "dragover"]) {
  form.addEventListener(name, (event) => { event.preventDefault(); form.classList.add("over"); });
}
form.addEventListener("dragleave", () => form.classList.remove("over"));
form.addEventListener("drop", (event) => {
  event.preventDefault();
  form.classList.remove("over");
  take(event.dataTransfer.files);
});

async function take(files) {
  const results = [];
  for (const file of files) results.push(await send(file));
  input.value = "";
  if (results.length && results.every(Boolean)) location.reload();
}

async function send(file) {
  const show = line(file);
  if (file.size > Number(said.most)) return show(0, said.large), false;
  if (!file.size) return show(0, said.empty), false;
  // The same file dropped again goes on where it stopped, also after the browser was closed.
  const memory = `upload ${said.announce} ${file.name} ${file.size} ${file.lastModified}`;
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    try {
      const { id, url, offset } = await announce(file, recall(memory));
      remember(memory, id);
      await pieces(file, url, offset, (done) => show(done / file.size, said.sending));
      remember(memory, null);
      return show(1, said.done), true;
    } catch {
      await new Promise((wake) => setTimeout(wake, Math.min(500 * 2 ** attempt, 8000)));
    }
  }
  return show(0, said.failed), false;
}

async function announce(file, resume) {
  const body = JSON.stringify({ name: file.name, size: file.size, type: file.type, resume });
  const headers = { "content-type": "application/json" };
  const answer = await fetch(said.announce, { method: "POST", headers, body });
  if (!answer.ok) throw new Error(answer.status);
  return answer.json();
}

async function pieces(file, signed, start, tell) {
  const { pathname, search } = new URL(signed, location);
  for (let offset = start; offset < file.size;) {
    const answer = await fetch(pathname + search, {
      method: "PATCH",
      headers: { "content-type": "application/offset+octet-stream", "upload-offset": offset },
      body: file.slice(offset, offset + PIECE),
    });
    if (!answer.ok) throw new Error(answer.status);
    offset = Number(answer.headers.get("upload-offset"));
    tell(offset);
  }
}

function line(file) {
  const item = list.appendChild(document.createElement("li"));
  const name = item.appendChild(document.createElement("span"));
  const state = item.appendChild(document.createElement("span"));
  const bar = item.appendChild(document.createElement("progress"));
  name.textContent = file.name;
  state.className = "small muted";
  bar.max = 1;
  bar.setAttribute("aria-label", file.name);
  return (share, word) => { bar.value = share; state.textContent = word; };
}

function recall(key) { try { return localStorage.getItem(key) ?? ""; } catch { return ""; } }
function remember(key, id) {
  try { id ? localStorage.setItem(key, id) : localStorage.removeItem(key); } catch { /* no storage here */ }
}
