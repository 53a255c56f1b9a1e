// Draws each chart into its place. Expressions are interpreted, not evaluated: no policy has to allow that.

const OPTIONS = { actions: false, renderer: "svg", ast: true };
const FACTORS = { in: 2 / 3, out: 3 / 2 };

function zoom(view, how) {
  for (const [signal, scale] of [["window_step", "x"], ["window_value", "y"]]) {
    if (how === "reset") {
      view.signal(signal, null);
    } else {
      const [low, high] = view.scale(scale).domain();
      const middle = (low + high) / 2;
      const half = ((high - low) / 2) * FACTORS[how];
      view.signal(signal, [middle - half, middle + half]);
    }
  }
  view.runAsync();
}

// Where a chart cannot be drawn, the figure for pages without script stands in.
function standIn(figure) {
  const still = figure?.querySelector("noscript");
  if (still) still.outerHTML = still.textContent;
  figure?.querySelector(".panels")?.remove();
}

async function draw(script) {
  const place = document.getElementById(script.dataset.for);
  const figure = place.closest("figure");
  try {
    const { view } = await vegaEmbed(place, JSON.parse(script.textContent), OPTIONS);
    place.classList.add("drawn");
    for (const button of figure.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => zoom(view, button.dataset.zoom));
    }
    figure.querySelector("select.metric")?.addEventListener("change", (event) => {
      zoom(view, "reset");
      view.signal("metric", event.target.value).runAsync();
    });
  } catch (error) {
    standIn(figure);
    throw error;
  }
}

// One after the other, so that the page stays at hand.
for (const script of document.querySelectorAll("script.spec")) {
  await new Promise((done) => setTimeout(done, 0));
  await draw(script);
}
document.documentElement.classList.add("charts-drawn");
