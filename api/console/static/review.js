// Tells what the chosen answers together do, and ticks "something else" when its text is written.
const form = document.querySelector("[data-review]");
const tally = document.querySelector("[data-tally]");
const count = new Intl.NumberFormat(document.documentElement.lang);

function tell() {
  const questions = [...form.querySelectorAll("[data-question]")];
  const chosen = questions.map((each) => each.querySelector("input:checked")).filter(Boolean);
  const gain = chosen.reduce((sum, each) => sum + Number(each.dataset.gain ?? 0), 0);
  if (!questions.length || !tally) return;
  const sign = gain > 0 ? "+" : "";
  tally.textContent = `${chosen.length} of ${questions.length} answered · ${sign}${count.format(gain)} valid rows`;
}

form.addEventListener("input", (event) => {
  const radio = event.target.dataset.own && document.getElementById(event.target.dataset.own);
  if (radio && event.target.value) radio.checked = true;
  tell();
});
tell();
