const ICONS = {
  run: "M7 5v14l12-7z",
  stop: "M6 6h12v12H6z",
  step: "M6 5v14l9-7zM16 5h3v14h-3z",
  reset: "M12 5a7 7 0 1 0 7 7h-2.4A4.6 4.6 0 1 1 12 7.4V11l6-4.8L12 1.5z",
};

function icon(name) {
  const holder = document.createElement("template");
  holder.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${ICONS[name]}"/></svg>`;
  return holder.content.firstChild;
}

function render({ model, el }) {
  adopt(el);
  const send = (action) => model.send({ action });
  const button = (action, text, key) => {
    const node = make("button", { type: "button", "data-action": action, "aria-keyshortcuts": key, title: `${text} (${key})` });
    node.append(icon(action), make("span", {}, text), make("kbd", { "aria-hidden": "true" }, key.toLowerCase()));
    return node;
  };
  const run = button("run", "Run", "Space");
  const step = button("step", "Step", "S");
  const reset = button("reset", "Reset", "R");
  const rate = make("output", { class: "mlphys-rate" });
  const message = make("p", { role: "status" });
  const group = make("div", { class: "mlphys-player", role: "group", "aria-label": model.get("label"), "data-mlphys": "player" });
  group.append(run, step, reset, rate, message);
  el.append(group);
  const actions = { " ": [run, "toggle"], s: [step, "step"], r: [reset, "reset"] };
  for (const [node, action] of Object.values(actions)) node.addEventListener("click", () => send(action));

  function follow() {
    const running = model.get("running");
    group.dataset.running = running;
    run.setAttribute("aria-pressed", running);
    run.querySelector("svg").replaceWith(icon(running ? "stop" : "run"));
    run.querySelector("span").textContent = running ? "Stop" : "Run";
    run.title = `${running ? "stop" : "run"} (space)`;
    reset.hidden = !model.get("can_reset");
    rate.textContent = model.get(running ? "rate_text" : "finished");
    message.textContent = model.get("message");
  }

  // One key each, where it is not already what the focused element does with it.
  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const app = el.closest(".mlphys-app") ?? el;
    const players = '[data-mlphys="player"]';
    const alone = document.querySelectorAll(players).length === app.querySelectorAll(players).length;
    if (!app.contains(event.target) && !(alone && event.target === document.body)) return;
    // Of several players the one that has the focus, else the first.
    if ((event.target.closest(players) ?? app.querySelector(players)) !== group) return;
    if (event.target.closest("select, textarea, input:not([type=range]), [contenteditable=true]")) return;
    const found = actions[event.key.toLowerCase()];
    if (!found || found[0].hidden || event.repeat) return;
    if (event.key === " " && event.target.closest("button, summary, a")) return;
    event.preventDefault();
    event.stopPropagation();
    send(found[1]);
  }

  // A page that shows the running player says so; without it the kernel pauses.
  const heartbeat = () => {
    if (model.get("running") && document.visibilityState === "visible") model.send({ seen: true });
  };
  const beat = setInterval(heartbeat, 2000);
  document.addEventListener("visibilitychange", heartbeat);
  document.addEventListener("keydown", key);
  const stop = listen(model, "change", follow);
  follow();
  heartbeat();
  return () => {
    clearInterval(beat);
    document.removeEventListener("visibilitychange", heartbeat);
    document.removeEventListener("keydown", key);
    stop();
  };
}

export default { render };
