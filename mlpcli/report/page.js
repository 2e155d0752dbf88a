"use strict";
// A click on a heading sorts the rows of its table; a second click turns them round.
for (const table of document.querySelectorAll("table.sortable")) {
  if (!table.tHead) continue;
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, place) => heading.querySelector("button")?.addEventListener("click", () => {
    const falls = heading.getAttribute("aria-sort") === "ascending"
      || (!heading.hasAttribute("aria-sort") && !heading.classList.contains("text"));
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", falls ? "descending" : "ascending");
    const key = (row) => {
      const cell = row.cells[place];
      return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
    };
    const compare = (one, other) => typeof one === "number" && typeof other === "number"
      ? one - other : String(one).localeCompare(String(other), undefined, { numeric: true });
    const rows = [...table.tBodies[0].rows].sort((one, other) => compare(key(one), key(other)) * (falls ? -1 : 1));
    table.tBodies[0].append(...rows);
  }));
}
// On paper nothing is folded.
addEventListener("beforeprint", () => document.querySelectorAll("main details").forEach((one) => { one.open = true; }));
// On a small screen the list of sections is folded.
if (matchMedia("(max-width: 700px)").matches) document.querySelector("nav details").open = false;
