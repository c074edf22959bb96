// Small conveniences; every page works without them.
const root = document.documentElement;

for (const button of document.querySelectorAll("[data-theme-switch]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* not allowed here */ }
  });
}

// Times are rendered in UTC; here they become the reader's.
const sameDay = new Intl.DateTimeFormat(root.lang, { hour: "2-digit", minute: "2-digit" });
const otherDay = new Intl.DateTimeFormat(root.lang, { dateStyle: "medium", timeStyle: "short" });
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  time.title = time.textContent;
  time.textContent = (at.toDateString() === new Date().toDateString() ? sameDay : otherDay).format(at);
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).value);
    button.textContent = "Copied";
  });
}

// A form is sent once, and a decision that cannot be taken back is asked about.
for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.confirm;
    if (question && !confirm(question)) return event.preventDefault();
    if (form.method === "post") setTimeout(() => event.submitter && (event.submitter.disabled = true));
  });
}
for (const select of document.querySelectorAll("select[data-submit]")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
