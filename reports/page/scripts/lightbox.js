// One image at a time, over the page. Escape, the trap of the focus and its return are the dialog's own.

const lightbox = (() => {
  const dialog = document.getElementById("lightbox");
  const part = (name) => dialog.querySelector(name);
  let tiles = [];
  let at = 0;
  let columns = 1;

  // A tile: {prompt, place, checkpoint, state, said, reason, source, marks, why, opener}.
  function show(number) {
    at = Math.min(Math.max(number, 0), tiles.length - 1);
    const tile = tiles[at];
    const picture = part(".picture");
    picture.hidden = tile.source === null;
    picture.src = tile.source ?? "";
    if (tile.source === null) picture.removeAttribute("src");
    picture.alt = tile.prompt;
    picture.classList.toggle("pixels", tile.pixels);
    const marks = part(".stage .marks");
    marks.hidden = tile.marks === null;
    if (tile.marks === null) marks.removeAttribute("src");
    else marks.src = tile.marks;
    part(".why").textContent = tile.why;
    part(".place").textContent = `${at + 1} of ${tiles.length} · ${tile.place}`;
    part(".prompt").textContent = tile.prompt;
    part(".checkpoint").textContent = tile.checkpoint;
    part(".verdict").className = `verdict ${tile.state}`;
    part(".verdict").textContent = tile.said;
    part(".reason").textContent = tile.reason;
    // Not disabled: a button that has the focus would take it, and the keys, away with it.
    part("[data-turn='-1']").ariaDisabled = String(at === 0);
    part("[data-turn='1']").ariaDisabled = String(at === tiles.length - 1);
  }

  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -Infinity, End: Infinity };
    if (event.target.matches("input") || !(event.key in step)) return;
    event.preventDefault();
    const next = at + step[event.key];
    if (Math.abs(step[event.key]) !== columns || (next >= 0 && next < tiles.length)) show(next);
  });
  for (const button of dialog.querySelectorAll("[data-turn]")) {
    button.addEventListener("click", () => show(at + Number(button.dataset.turn)));
  }
  part(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => tiles[at].opener()?.focus());

  return {
    open(all, number, perRow) {
      tiles = all;
      columns = perRow;
      show(number);
      dialog.showModal();
      dialog.focus(); // else the first button has it
    },
  };
})();
