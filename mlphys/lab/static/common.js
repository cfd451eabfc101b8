// What all widgets share: the style sheet, the theme of the page, building elements, painting once per frame.

function adopt(el) {
  let sheet = document.getElementById("mlphys-style");
  if (!sheet) {
    sheet = document.createElement("style");
    sheet.id = "mlphys-style";
    document.head.append(sheet);
  }
  if (sheet.textContent !== STYLE) sheet.textContent = STYLE;
  el.classList.add("mlphys");
  keepKeys(el);
}

// JupyterLab would take single keys for its own commands (r turns a cell into raw text); it asks the focused element.
function keepKeys(el) {
  el.addEventListener("focusin", (event) => (event.target.dataset.lmSuppressShortcuts = "true"));
}

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// Calls `paint` once per animation frame, however often it is asked to.
function oncePerFrame(paint) {
  let asked = 0;
  const request = () => {
    if (!asked) {
      asked = requestAnimationFrame(() => {
        asked = 0;
        paint();
      });
    }
  };
  request.cancel = () => cancelAnimationFrame(asked);
  return request;
}

// Tells the kernel which frame was painted last, at most forty times a second: each message costs JupyterLab a status update.
function acknowledger(model) {
  let latest = 0;
  let timer = 0;
  let told = 0;
  const tell = () => {
    timer = 0;
    told = performance.now();
    model.send({ painted: latest });
  };
  return (frame) => {
    latest = frame;
    if (!timer) timer = setTimeout(tell, Math.max(0, told + 25 - performance.now()));
  };
}

// Calls `changed` when the page turns light or dark, large or usual; returns the function that ends it.
function onTheme(changed) {
  const observer = new MutationObserver(changed);
  const attributeFilter = ["data-jp-theme-light", "data-theme", "data-type", "class"];
  observer.observe(document.body, { attributes: true, attributeFilter });
  observer.observe(document.documentElement, { attributes: true, attributeFilter });
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", changed);
  return () => {
    observer.disconnect();
    media.removeEventListener("change", changed);
  };
}

// Listens to the model until the view goes; anywidget does not end it by itself for every event.
function listen(model, events, callback) {
  model.on(events, callback);
  return () => model.off(events, callback);
}

function bytesOf(view) {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
