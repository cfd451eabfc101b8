// Draws the figures of a page as they come near, in the colours of its theme, and lets the keyboard scroll what is wide.

function follow() {
  const { theme } = document.body.dataset;
  const dark = theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  const light = String(!dark);
  if (document.body.dataset.jpThemeLight !== light) document.body.dataset.jpThemeLight = light;
}

// What the view of a plot asks of its model, without a kernel; `words` are "Figure: axes and curves. Summary."
function still({ data, layout }, words) {
  const { height, ...axes } = layout;
  const summary = words.split(". ").slice(1).join(". ");
  const traits = { traces: data, axes, height, frame: 0, summary, label: "" };
  return { get: (name) => traits[name], on() {}, off() {}, send() {} };
}

function draw(box) {
  const figure = JSON.parse(box.querySelector("script").textContent);
  const words = box.querySelector("p");
  const el = document.createElement("div");
  words.replaceWith(el);
  mlphysPlot({ model: still(figure, words.textContent), el });
}

follow();
new MutationObserver(follow).observe(document.body, { attributes: true, attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", follow);

const seen = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      draw(target);
    }
  },
  { rootMargin: "800px" },
);
for (const box of document.querySelectorAll(".mlphys-static")) seen.observe(box);

const WIDE = "pre, .table-wrapper, .math-wrapper, .output, .output > div, .output div[style*=overflow]";

function reach() {
  for (const wide of document.querySelectorAll(WIDE)) {
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
    else wide.removeAttribute("tabindex");
  }
}

// Formulas are as wide as they are once MathJax has set them.
addEventListener("load", () => Promise.resolve(window.MathJax?.startup?.promise).then(reach));
addEventListener("resize", reach);
