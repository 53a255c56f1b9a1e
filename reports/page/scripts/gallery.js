// The wall of images: rows are made when a filter wants them, images are decoded when they come into sight.

const BATCH = 40; // rows made before the browser may paint again

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

class Wall {
  constructor(root) {
    const { columns, prompts, rows } = JSON.parse(root.querySelector(".wall-rows").textContent);
    this.root = root;
    this.columns = columns;
    this.prompts = prompts.map((one) => ({ ...one, sought: `${one.text}\n${one.id}`.toLowerCase() }));
    this.rows = rows;
    this.list = root.querySelector(".rows");
    this.form = root.querySelector(".filters");
    this.made = new Map(); // row to its element
    this.turn = 0;
    this.observer = new IntersectionObserver((seen) => this.decode(seen), { rootMargin: "800px" });
    this.listen();
    this.filter();
  }

  // Parsed when the first image is wanted: it is most of the page.
  get images() {
    this.parsed ??= JSON.parse(this.root.querySelector(".wall-images").textContent);
    return this.parsed;
  }

  listen() {
    this.form.hidden = false;
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", (event) => {
      if (!event.target.matches(".marks-on")) this.filter();
    });
    for (const button of this.root.querySelectorAll("button.find")) {
      button.addEventListener("click", () => this.find(button.dataset.item));
    }
    window.addEventListener("beforeprint", () => {
      for (const row of this.list.querySelectorAll(".row")) this.fill(row);
    });
  }

  find(item) {
    this.form.reset();
    this.form.elements.set.value = "";
    this.form.elements.text.value = item;
    this.filter();
    this.form.elements.text.focus();
    this.form.scrollIntoView({ block: "start" });
  }

  filter() {
    const asked = new FormData(this.form);
    const set = asked.get("set");
    const task = asked.get("task");
    const state = asked.get("state");
    const text = asked.get("text").trim().toLowerCase();
    const all = this.form.elements.column;
    const shown = all ? asked.getAll("column").map(Number) : [0];
    if (String(shown) !== String(this.shown)) this.made.clear();
    this.shown = shown;
    this.list.classList.toggle("single", shown.length === 1);
    this.found = this.rows.filter((row) => {
      const prompt = this.prompts[row.prompt];
      return (
        (!set || row.sets.includes(set)) &&
        (!task || prompt.task === task) &&
        (!text || prompt.sought.includes(text)) &&
        (!state || this.matches(shown.map((column) => row.tiles[column]), state))
      );
    });
    const images = this.found.length * shown.length;
    const rows = shown.length === 1 ? "" : `${this.found.length} rows, `;
    this.form.querySelector(".status").textContent = images === 0 ? "Nothing matches." : `${rows}${images} images`;
    this.turn += 1;
    this.observer.disconnect();
    this.list.replaceChildren();
    this.add(0, this.turn);
  }

  matches(tiles, state) {
    if (state === "differ") return new Set(tiles.map((tile) => tile.state)).size > 1;
    if (state === "missing") return tiles.some((tile) => tile.image === null);
    return tiles.some((tile) => tile.state === state);
  }

  add(from, turn) {
    if (turn !== this.turn || this.shown.length === 0) return;
    const part = document.createDocumentFragment();
    for (let at = from; at < Math.min(from + BATCH, this.found.length); at += 1) {
      if (this.heads(at)) part.append(this.heading(at));
      part.append(this.row(at));
    }
    const added = [...part.querySelectorAll(".row")];
    this.list.append(part);
    for (const row of added) if (!row.dataset.filled) this.observer.observe(row);
    if (from + BATCH < this.found.length) setTimeout(() => this.add(from + BATCH, turn), 0);
  }

  row(at) {
    const row = this.found[at];
    let made = this.made.get(row);
    if (!made) {
      made = this.make(row);
      this.made.set(row, made);
    }
    return made;
  }

  task(at) {
    return this.prompts[this.found[at].prompt].task;
  }

  heads(at) {
    return this.task(at) && (at === 0 || this.task(at - 1) !== this.task(at));
  }

  heading(at) {
    const made = element("li", "task");
    made.append(element("h4", "", this.task(at).replaceAll("_", " ")));
    return made;
  }

  make(row) {
    const { text, id } = this.prompts[row.prompt];
    const made = element("li", "row");
    made.wallRow = row;
    const head = element("div", "head");
    const prompt = element("p", "prompt", text);
    prompt.dir = "auto";
    head.append(prompt, element("p", "id", `${id} · image ${row.index}`));
    const tiles = element("div", "tiles");
    tiles.style.setProperty("--columns", Math.min(this.shown.length, 5));
    tiles.append(...this.shown.map((column) => this.tile(row, column, text)));
    made.append(head, tiles);
    return made;
  }

  tile(row, column, prompt) {
    const tile = row.tiles[column];
    const made = element("figure", `tile ${tile.state}`);
    const button = element("button", "open");
    button.type = "button";
    button.dataset.column = column;
    if (tile.image === null) {
      button.append(element("span", "why", tile.why));
      button.setAttribute("aria-label", `${prompt}: no image, ${tile.why}`);
    } else {
      const image = element("img", "picture");
      image.alt = prompt;
      button.append(image);
      if (tile.marks !== null) {
        const marks = element("img", "marks");
        marks.alt = "";
        button.append(marks);
      }
    }
    button.addEventListener("click", () => this.open(row, column));
    const said = element("figcaption");
    said.append(element("b", "", this.columns[column]), " ");
    said.append(element("span", "verdict", tile.said));
    if (tile.reason) {
      const reason = element("span", "reason", tile.reason);
      reason.dir = "auto";
      said.append(reason);
    }
    made.append(button, said);
    return made;
  }

  decode(seen) {
    for (const one of seen) {
      if (one.isIntersecting) {
        this.observer.unobserve(one.target);
        this.fill(one.target);
      }
    }
  }

  fill(made) {
    if (made.dataset.filled) return;
    made.dataset.filled = "yes";
    for (const button of made.querySelectorAll(".open")) {
      const tile = made.wallRow.tiles[button.dataset.column];
      if (tile.image === null) continue;
      const picture = button.querySelector(".picture");
      picture.src = this.images[tile.image];
      picture.classList.toggle("pixels", this.pixels(tile));
      if (tile.marks !== null) button.querySelector(".marks").src = this.images[tile.marks];
    }
  }

  // Small originals are enlarged by whole pixels; thumbnails are not.
  pixels(tile) {
    return tile.image !== null && this.images[tile.image].startsWith("data:image/png");
  }

  open(row, column) {
    const tiles = this.found.flatMap((one) => this.shown.map((place) => this.shownTile(one, place)));
    const number = this.found.indexOf(row) * this.shown.length + this.shown.indexOf(column);
    lightbox.open(tiles, number, this.shown.length);
  }

  shownTile(row, column) {
    const tile = row.tiles[column];
    const { text, id } = this.prompts[row.prompt];
    const wall = this;
    return {
      prompt: text,
      place: `${id}, image ${row.index}`,
      checkpoint: this.columns[column],
      state: tile.state,
      said: tile.said,
      reason: tile.reason,
      why: tile.why,
      get pixels() { return wall.pixels(tile); },
      get source() { return tile.image === null ? null : wall.images[tile.image]; },
      get marks() { return tile.marks === null ? null : wall.images[tile.marks]; },
      opener: () => this.made.get(row)?.querySelector(`[data-column="${column}"]`),
    };
  }
}

for (const root of document.querySelectorAll(".wall")) new Wall(root);

// One switch for all walls and the lightbox.
document.addEventListener("change", (event) => {
  if (!event.target.matches(".marks-on")) return;
  document.documentElement.classList.toggle("no-marks", !event.target.checked);
  for (const other of document.querySelectorAll(".marks-on")) other.checked = event.target.checked;
});
