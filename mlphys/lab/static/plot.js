const TYPES = {
  float64: Float64Array, float32: Float32Array, int32: Int32Array, uint32: Uint32Array,
  int16: Int16Array, uint16: Uint16Array, int8: Int8Array, uint8: Uint8Array,
};

// plotly.js, once per page: the server's static file if it has one, else over the kernel's connection.
function plotly(model) {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  window.mlphysPlotly ??= fromServer()
    .catch(() => fromKernel(model))
    .catch((error) => {
      window.mlphysPlotly = undefined;
      throw error;
    });
  return window.mlphysPlotly;
}

function runScript(url) {
  return new Promise((resolve, reject) => {
    const script = make("script", { src: url });
    script.onload = () => (window.Plotly ? resolve(window.Plotly) : reject(new Error(`${url} is not plotly.js`)));
    script.onerror = () => reject(new Error(`no plotly.js at ${url}`));
    document.head.append(script);
  });
}

function fromServer() {
  const config = document.getElementById("jupyter-config-data");
  const base = (config && JSON.parse(config.textContent).baseUrl) || "/";
  return runScript(`${base}mlphys/static/plotly.min.js`);
}

function fromKernel(model) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("the kernel sent no plotly.js")), 60000);
    const receive = (content, buffers) => {
      if (!content.plotly) return;
      model.off("msg:custom", receive);
      clearTimeout(late);
      const url = URL.createObjectURL(new Blob(buffers, { type: "text/javascript" }));
      runScript(url).then(resolve, reject).finally(() => URL.revokeObjectURL(url));
    };
    model.on("msg:custom", receive);
    model.send({ want: "plotly" });
  });
}

// Binary arrays to typed arrays (rows of them in two dimensions), CSS variables to the colours of the page.
function unpack(value, css) {
  if (Array.isArray(value)) return value.map((item) => unpack(item, css));
  if (typeof value === "string") {
    return value.replace(/var\((--[\w-]+)\)/g, (_, name) => css.getPropertyValue(name).trim() || "#888");
  }
  if (value === null || typeof value !== "object") return value;
  if (value.buffer && value.dtype) {
    const bytes = bytesOf(value.buffer).slice();
    const flat = new TYPES[value.dtype](bytes.buffer);
    if (value.shape.length < 2) return flat;
    const [rows, columns] = value.shape;
    return Array.from({ length: rows }, (_, i) => flat.subarray(i * columns, (i + 1) * columns));
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unpack(item, css)]));
}

function template(css, layout) {
  const token = (name) => css.getPropertyValue(`--mlphys-${name}`).trim();
  const [ink, muted, rule, page] = ["ink", "muted", "line", "page"].map(token);
  const type = enlargement(css);
  const axis = {
    color: ink, gridcolor: rule, gridwidth: 1, zeroline: false, showline: true, linecolor: muted, linewidth: 1.5,
    ticks: "outside", ticklen: 6, tickcolor: muted, tickfont: { size: 15 * type }, title: { font: { size: 17 * type }, standoff: 10 },
    automargin: true,
  };
  return {
    layout: {
      font: { family: css.fontFamily, size: 16 * type, color: ink },
      title: { font: { size: 18 * type }, x: 0, xref: "paper", xanchor: "left", pad: { b: 10 } },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      colorway: [0, 1, 2, 3, 4, 5, 6].map(token),
      colorscale: { sequential: "Cividis", sequentialminus: "Cividis", diverging: "RdBu" },
      hoverlabel: { bgcolor: page, bordercolor: muted, font: { color: ink, size: 15 * type } },
      legend: { font: { size: 15 * type }, bgcolor: layout.legend?.orientation === "h" ? "rgba(0,0,0,0)" : page, borderwidth: 0 },
      xaxis: axis, yaxis: axis,
      margin: { l: 64, r: 12, t: 40, b: 56 },
    },
  };
}

// How much larger than usual the page's letters are, so that a hall can read them.
const enlargement = (css) => Number(css.getPropertyValue("--mlphys-type")) || 1;

const plain = (text) => (text ?? "").replace(/<[^>]+>/g, "");
const titled = (axis) => plain(typeof axis?.title === "string" ? axis.title : axis?.title?.text);

function render({ model, el }) {
  adopt(el);
  const acknowledge = acknowledger(model);
  const box = make("div", { class: "mlphys-plot", "data-mlphys": "plot", role: "figure", tabindex: 0 });
  el.append(box);
  let Plotly = null;
  let drawing = false;
  let stale = false;
  let gone = false;

  function describe() {
    const [layout, traces] = [model.get("axes"), model.get("traces")];
    const names = traces.filter((trace) => trace.name && trace.showlegend !== false).map((trace) => plain(trace.name));
    const what = model.get("label") || plain(layout.title?.text) || `${titled(layout.yaxis)} against ${titled(layout.xaxis)}`;
    box.dataset.name = what;
    box.setAttribute("aria-label", [what, names.join(", "), model.get("summary")].filter(Boolean).join(". "));
  }

  async function draw() {
    if (!Plotly || gone || !box.clientWidth) return;
    if (drawing) {
      stale = true;
      return;
    }
    drawing = true;
    const frame = model.get("frame");
    try {
      const css = getComputedStyle(box);
      const layout = unpack(model.get("axes"), css);
      Object.assign(layout, { template: template(css, layout), height: model.get("height") * Math.sqrt(enlargement(css)), width: box.clientWidth, uirevision: "kept" });
      if (layout.title) layout.margin = { t: 74, ...layout.margin };
      await Plotly.react(box, unpack(model.get("traces"), css), layout, {
        displaylogo: false,
        displayModeBar: "hover",
        modeBarButtons: [["toImage", "resetScale2d"]],
        doubleClick: "reset",
      });
      describe();
      box.dataset.frame = frame;
      delete box.dataset.error;
    } catch (error) {
      box.dataset.error = error.message;
      console.error(error);
    }
    acknowledge(frame);
    // Ten drawings a second at most: the rest of the time belongs to the lattice and the sliders.
    setTimeout(() => {
      drawing = false;
      if (stale) request();
      stale = false;
    }, 100);
  }

  const request = oncePerFrame(draw);
  const stops = [listen(model, "change:traces change:axes change:frame change:height change:summary", request), onTheme(request)];
  const resized = new ResizeObserver(request);
  resized.observe(box);
  box.style.minHeight = `${model.get("height")}px`;
  box.addEventListener("keydown", (event) => {
    if (event.key === "Home" && Plotly) Plotly.relayout(box, { "xaxis.autorange": true, "yaxis.autorange": true });
  });
  describe();
  plotly(model).then(
    (loaded) => {
      Plotly = loaded;
      request();
    },
    (error) => {
      box.dataset.error = error.message;
      box.replaceChildren(make("p", { role: "alert" }, `This plot cannot be drawn: ${error.message}.`));
    },
  );
  return () => {
    gone = true;
    stops.forEach((stop) => stop());
    resized.disconnect();
    request.cancel();
    if (Plotly) Plotly.purge(box);
  };
}

export default { render };
