// Sorting by the buttons of a table's head, and filtering of runs by name and of tables.
"use strict";

const boards = [...document.querySelectorAll("section.board")];
const find = document.getElementById("find");
const which = document.getElementById("which");
const shown = document.getElementById("shown");

// The unknown stands last whichever way is sorted.
function order(one, other, sign) {
  if (one === "" || other === "") return one === other ? 0 : one === "" ? 1 : -1;
  const numbers = [Number(one), Number(other)];
  const both = numbers.every((number) => !Number.isNaN(number));
  return sign * (both ? numbers[0] - numbers[1] : one.localeCompare(other));
}

// Rows stay within their part of the table: a ceiling does not compete.
function sort(table, head, descending) {
  const column = [...head.parentElement.children].indexOf(head);
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => row.dataset.run);
    const value = (row) => row.cells[column].dataset.value;
    rows.sort((one, other) => order(value(one), value(other), descending ? -1 : 1));
    body.append(...rows);
  }
  for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", descending ? "descending" : "ascending");
}

for (const board of boards) {
  const table = board.querySelector("table");
  for (const head of table.tHead.rows[0].cells) {
    head.querySelector("button").addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      sort(table, head, now ? now === "ascending" : head.dataset.way === "higher");
    });
  }
}

function filter() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const board of boards) {
    const chosen = !which || !which.value || which.value === board.id;
    let inside = 0;
    for (const row of board.querySelectorAll("tr[data-run]")) {
      const name = row.querySelector("th");
      const text = `${name.textContent} ${name.title} ${row.dataset.run}`.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      if (!row.hidden) inside += 1;
    }
    board.hidden = !chosen || inside === 0;
    if (!board.hidden) count += inside;
  }
  const filtered = words.length > 0 || (which && which.value);
  shown.textContent = filtered ? (count === 1 ? "1 run" : `${count || "no"} runs`) : "";
}

find.addEventListener("input", filter);
if (which) which.addEventListener("change", filter);
find.form.addEventListener("submit", (event) => event.preventDefault());
filter();
