function render({ model, el }) {
  adopt(el);
  const acknowledge = acknowledger(model);
  const list = make("dl", { class: "mlphys-readouts", "data-mlphys": "readouts", "aria-label": model.get("label") });
  el.append(list);

  function paint() {
    const rows = model.get("rows");
    while (list.children.length < rows.length) {
      list.append(make("div", {}, make("dt"), make("dd", {}, make("b"), make("i")), make("dd", {}, make("span"), make("em"))));
    }
    rows.forEach((row, i) => {
      const item = list.children[i];
      item.dataset.name = row.name;
      item.querySelector("dt").textContent = row.label;
      item.querySelector("b").textContent = row.value;
      item.querySelector("i").textContent = row.value === "–" ? "" : row.unit;
      item.querySelector("span").textContent = row.exact ? `${row.known} ${row.exact}` : "";
      item.querySelector("em").textContent = row.deviation;
      item.querySelector("em").className = row.level;
    });
    list.dataset.exact = rows.some((row) => row.exact);
    const frame = model.get("frame");
    list.dataset.frame = frame;
    acknowledge(frame);
  }

  const request = oncePerFrame(paint);
  const stop = listen(model, "change:rows change:frame", request);
  paint();
  return () => {
    stop();
    request.cancel();
  };
}

export default { render };
