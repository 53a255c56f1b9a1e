"use strict";
// Keys press the buttons of the form. After the first press nothing else counts for this pair.
const form = document.getElementById("ballot");
let sent = false;
form.addEventListener("submit", (event) => {
  if (sent) event.preventDefault();
  sent = true;
  form.classList.add("sent");
});
document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const button = [...form.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key);
  if (!button) return;
  event.preventDefault();
  if (!sent) button.click();
});
// A page that the back button brings out of memory holds a pair that has its vote.
window.addEventListener("pageshow", (event) => { if (event.persisted) window.location.reload(); });
