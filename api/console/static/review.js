// Tells what the chosen answers and repairs together do, and ticks "something else" for its text.
const form = document.querySelector("[data-review]");
const tally = document.querySelector("[data-tally]");
const count = new Intl.NumberFormat(document.documentElement.lang);

function tell() {
  const open = [...form.querySelectorAll("[data-question]")].filter((each) => !each.querySelector("input:checked"));
  // An answer that says what a value means was not tried by itself: its cells are the most it can bring.
  const most = form.querySelector("input:checked[data-most]");
  const chosen = [...form.querySelectorAll("input:checked:is([data-gain], [data-most])")];
  const gains = chosen.map((each) => Number(each.dataset.gain ?? each.dataset.most)).filter(Boolean);
  const before = Number(form.dataset.valid);
  const after = Math.min(before + gains.reduce((sum, each) => sum + each, 0), Number(form.dataset.read));
  const gain = after - before;
  const valid = `${most ? "up to " : gains.length > 1 ? "about " : ""}${count.format(after)} valid rows (${gain < 0 ? "" : "+"}${count.format(gain)})`;
  const left = open.length ? ` · ${open.length} unanswered: ${open.length > 1 ? "their" : "its"} rows stay out` : "";
  tally.textContent = valid + left;
}

form.addEventListener("input", (event) => {
  const radio = event.target.dataset.own && document.getElementById(event.target.dataset.own);
  if (radio && event.target.value) radio.checked = true;
  if (tally) tell();
});
if (tally) tell();
