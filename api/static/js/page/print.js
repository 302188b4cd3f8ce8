// The printed sheet of one grid: days in words, and the printer when asked.

import { openHours } from "./hours.js";

for (const element of document.querySelectorAll("[data-hours]")) {
  element.textContent = openHours(element.textContent);
}
document.getElementById("print-now")?.addEventListener("click", () => print());
