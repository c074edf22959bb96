// Follows a run: progress as it comes, and the new page when its state changes.
const box = document.querySelector("[data-live]");
const count = new Intl.NumberFormat(document.documentElement.lang);
const stream = new EventSource(box.dataset.live);

stream.addEventListener("progress", (event) => {
  const { phase, message, done, total } = JSON.parse(event.data);
  const bar = box.querySelector("progress");
  const said = message || phase;
  if (said) box.querySelector("[data-phase]").textContent = said[0].toUpperCase() + said.slice(1);
  box.querySelector("[data-done]").textContent = done
    ? count.format(done) + (total ? ` / ${count.format(total)}` : "") : "";
  if (total) { bar.max = total; bar.value = done; } else bar.removeAttribute("value");
});
stream.addEventListener("changed", () => { stream.close(); location.reload(); });
