// Turns pages: arrows, space, page up and down, home and end; C shows the code, T light or dark, F fills the screen.

const sections = [...document.querySelectorAll("section")];
const [WIDTH, HEIGHT, FOOTER] = [960, 540, 40];
const button = (name) => document.getElementById(name);
let now = 0;

function show(n) {
  now = Math.max(0, Math.min(sections.length - 1, n));
  sections.forEach((section, at) => {
    section.classList.toggle("now", at === now);
    section.inert = at !== now;
  });
  button("place").textContent = `${now + 1} / ${sections.length}`;
  history.replaceState(null, "", `#${now + 1}`);
  showCode(false);
  for (const at of [now, now + 1]) {
    if (sections[at]) draw(sections[at]);
  }
  fit(sections[now]);
  setTimeout(() => fit(sections[now]), 400); // when its figures stand
}

// Up and down scroll a slide that is longer than the screen, before they turn it.
function move(down) {
  const before = sections[now].scrollTop;
  sections[now].scrollTop += down ? 240 : -240;
  if (sections[now].scrollTop === before) show(now + (down ? 1 : -1));
}

// What the view of a plot asks of its model, without a kernel.
function still({ data, layout }, height) {
  const { height: _, ...axes } = layout;
  const traits = { traces: data, axes, height, frame: 0, summary: "", label: "" };
  return { get: (name) => traits[name], on() {}, off() {}, send() {} };
}

function draw(section) {
  for (const box of section.querySelectorAll(".mlphys-static:not(.drawn)")) {
    box.classList.add("drawn");
    const el = document.createElement("div");
    box.querySelector("p").replaceWith(el);
    // As high as what stands beside it leaves free.
    const last = section.lastElementChild;
    const height = Math.max(240, Math.min(430, HEIGHT - 64 - last.offsetTop - last.offsetHeight));
    mlphysPlot({ model: still(JSON.parse(box.querySelector("script").textContent), height), el });
  }
}

// The whole canvas on the window, and the type of a full slide as much smaller as it must be.
function scale() {
  const factor = Math.min(innerWidth / WIDTH, (innerHeight - FOOTER) / HEIGHT);
  const left = (innerWidth - factor * WIDTH) / 2;
  for (const section of sections) section.style.transform = `translateX(${left}px) scale(${factor})`;
}

function fit(section) {
  for (let size = 22; size >= 15; size -= 1) {
    section.style.fontSize = `${size}px`;
    if (section.scrollHeight <= HEIGHT) break;
  }
  for (const table of section.querySelectorAll("table")) {
    table.style.zoom = 1;
    table.style.zoom = Math.min(1, (WIDTH - 88) / table.offsetWidth);
    const over = section.scrollHeight - HEIGHT;
    if (over > 0) table.style.zoom *= Math.max(0.7, 1 - over / (table.offsetHeight * table.style.zoom));
  }
}

function showCode(on) {
  const blocks = [...sections[now].querySelectorAll(".code")];
  blocks.forEach((block) => (block.hidden = true));
  if (blocks.length && on) {
    const [first, ...others] = blocks;
    if (others.length) {
      first.append(...others.map((other) => `\n\n${other.textContent}`));
      others.forEach((other) => other.remove());
    }
    first.hidden = false;
    first.focus();
  }
  button("code").disabled = !blocks.length;
  button("code").setAttribute("aria-pressed", String(on && blocks.length > 0));
}

function follow(dark) {
  document.body.dataset.jpThemeLight = String(!dark);
}

const media = matchMedia("(prefers-color-scheme: dark)");
const toggleTheme = () => follow(document.body.dataset.jpThemeLight === "true");
const toggleCode = () => showCode(button("code").getAttribute("aria-pressed") !== "true");
const toggleFull = () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen());

const KEYS = {
  ArrowRight: () => show(now + 1), ArrowDown: () => move(true), PageDown: () => show(now + 1), " ": () => show(now + 1),
  ArrowLeft: () => show(now - 1), ArrowUp: () => move(false), PageUp: () => show(now - 1),
  Home: () => show(0), End: () => show(sections.length - 1),
  c: toggleCode, t: toggleTheme, f: toggleFull, Escape: () => showCode(false),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { target, key } = event;
  // A button in focus is pressed by space, and code in focus is scrolled by arrows.
  if (target.tagName === "BUTTON" && key === " ") return;
  if (target.classList?.contains("code") && /Arrow(Up|Down)|Page| /.test(key)) return;
  const act = KEYS[key.length === 1 ? key.toLowerCase() : key];
  if (!act) return;
  event.preventDefault();
  act();
});

button("on").onclick = () => show(now + 1);
button("back").onclick = () => show(now - 1);
button("code").onclick = toggleCode;
button("theme").onclick = toggleTheme;
button("full").onclick = toggleFull;

let touched = 0;
addEventListener("touchstart", (event) => (touched = event.changedTouches[0].clientX), { passive: true });
addEventListener("touchend", (event) => {
  const moved = event.changedTouches[0].clientX - touched;
  if (Math.abs(moved) > 60) show(now - Math.sign(moved));
});
addEventListener("resize", scale);
addEventListener("hashchange", () => show(Number(location.hash.slice(1)) - 1 || 0));
addEventListener("beforeprint", () => sections.forEach((section) => (draw(section), fit(section))));

follow(media.matches);
media.addEventListener("change", () => follow(media.matches));
scale();
show(Number(location.hash.slice(1)) - 1 || 0);
window.MathJax?.startup?.promise?.then(() => fit(sections[now]));
