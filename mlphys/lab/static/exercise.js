function render({ model, el }) {
  adopt(el);
  const title = make("strong");
  const statement = make("p");
  const hints = make("ol", { "aria-live": "polite" });
  const button = make("button", { type: "button", "data-action": "hint" });
  const verdict = make("p", { role: "status", class: "mlphys-verdict" });
  const card = make("section", { class: "mlphys-exercise", "data-mlphys": "exercise" }, title, statement, hints, button, verdict);
  el.append(card);
  button.addEventListener("click", () => model.send({ action: "hint" }));

  function follow() {
    const shown = model.get("hints");
    const left = model.get("total") - shown.length;
    card.dataset.name = model.get("name");
    card.dataset.hints = shown.length;
    card.dataset.passed = model.get("passed") ?? "";
    card.setAttribute("aria-label", `exercise: ${model.get("name")}`);
    title.textContent = `Exercise: ${model.get("name")}`;
    statement.textContent = model.get("statement");
    hints.replaceChildren(...shown.map((text) => make("li", {}, text)));
    button.textContent = left === 0 ? "No more hints" : shown.length ? `Another hint (${left} left)` : `Hint (${left})`;
    button.disabled = left === 0;
    verdict.className = `mlphys-verdict ${model.get("passed") ? "good" : "bad"}`;
    verdict.textContent = model.get("verdict") && `${model.get("passed") ? "✓" : "✗"} ${model.get("verdict")}`;
  }

  const stop = listen(model, "change", follow);
  follow();
  return stop;
}

export default { render };
