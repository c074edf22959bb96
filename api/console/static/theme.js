// Runs before the first paint: the chosen theme, or the system's when none was chosen.
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* storage is not allowed in some frames */ }
