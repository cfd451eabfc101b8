function render({ model, el }) {
  adopt(el);
  // The only heading of a dashboard, one among others in a notebook.
  const title = make("voila" in document.body.dataset ? "h1" : "h2", {}, model.get("title"));
  const question = make("p", {}, model.get("question"));
  el.append(make("div", { class: "mlphys-header" }, title, question));

  // The app's own element is a box of ipywidgets, which takes no attributes from the kernel.
  const name = () => {
    const app = el.closest(".mlphys-app");
    if (!app) return;
    app.dataset.mlphys = "app";
    // Focusable, so that the keys work after a click anywhere in the app.
    app.tabIndex = -1;
    keepKeys(app);
    app.setAttribute("role", "region");
    app.setAttribute("aria-label", model.get("title"));
  };
  const wait = oncePerFrame(name);
  name();
  wait();
  return wait.cancel;
}

export default { render };
