function adler32(bytes) {
  let a = 1;
  let b = 0;
  for (let i = 0; i < bytes.length; ) {
    // 3800 bytes are as many as fit before the sums leave 32 bits.
    const end = Math.min(i + 3800, bytes.length);
    for (; i < end; i++) b += a += bytes[i];
    a %= 65521;
    b %= 65521;
  }
  return (((b << 16) | a) >>> 0).toString(16).padStart(8, "0");
}

// A charge as it is drawn: a light disc with a dark plus, a dark disc with a light minus, told apart without colour.
function stamp(positive, radius) {
  const side = 2 * radius + 2;
  const canvas = make("canvas", { width: side, height: side });
  const pen = canvas.getContext("2d");
  const [fill, ink] = positive ? ["#ffffff", "#10151b"] : ["#10151b", "#ffffff"];
  pen.translate(side / 2, side / 2);
  pen.fillStyle = fill;
  pen.strokeStyle = ink;
  pen.lineWidth = Math.max(1, radius / 6);
  pen.beginPath();
  pen.arc(0, 0, radius - pen.lineWidth / 2, 0, 2 * Math.PI);
  pen.fill();
  pen.stroke();
  if (radius < 4) return canvas;
  pen.lineWidth = Math.max(1.2, radius / 3.5);
  pen.beginPath();
  const arm = 0.55 * radius;
  pen.moveTo(-arm, 0);
  pen.lineTo(arm, 0);
  if (positive) {
    pen.moveTo(0, -arm);
    pen.lineTo(0, arm);
  }
  pen.stroke();
  return canvas;
}

// The wheel as a ring on which each direction stands where it points, or a bar from low to high.
function drawLegend(canvas, legend, palette) {
  const screen = window.devicePixelRatio || 1;
  const [width, height] = legend.kind === "wheel" ? [46, 46] : [160, 14];
  canvas.width = width * screen;
  canvas.height = height * screen;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(screen, screen);
  palette.forEach((colour, k) => {
    pen.fillStyle = pen.strokeStyle = colour;
    if (legend.kind === "wheel") {
      const [from, to] = [k, k + 1.5].map((step) => (-2 * Math.PI * step) / palette.length);
      pen.lineWidth = 11;
      pen.beginPath();
      pen.arc(width / 2, height / 2, width / 2 - 6, from, to, true);
      pen.stroke();
    } else {
      pen.fillRect((k * width) / palette.length, 0, width / palette.length + 1, height);
    }
  });
}

const short = (x) => String(Math.round(100 * x) / 100).replace("-", "−");

function render({ model, el }) {
  adopt(el);
  const acknowledge = acknowledger(model);
  const canvas = make("canvas", { "data-mlphys": "lattice", role: "img" });
  const above = make("canvas", { "data-mlphys": "marks", "aria-hidden": "true" });
  const picture = make("div", {}, canvas, above);
  const key = make("div", { class: "mlphys-legend", "aria-hidden": "true" });
  const caption = make("figcaption", { "aria-hidden": "true" });
  const below = make("div", { class: "mlphys-below" }, caption, key);
  const figure = make("figure", { class: "mlphys-lattice" }, picture, below);
  el.append(figure);
  const sites = document.createElement("canvas");
  let room = 0;

  // Pixels that are whole multiples of a site where that costs little size; else drawn larger and scaled down smoothly,
  // so that no row of sites looks thicker than its neighbour.
  function fit(rows, columns) {
    const screen = window.devicePixelRatio || 1;
    const size = model.get("size") * (document.documentElement.dataset.type === "large" ? 1.4 : 1);
    const widest = Math.min(room, size, 0.74 * window.innerHeight);
    const width = Math.max(1, Math.min(widest, (widest * columns) / rows));
    const exact = (width * screen) / columns;
    const crisp = Math.floor(exact);
    const scale = crisp >= 1 && crisp / exact > 0.93 ? crisp : Math.ceil(exact);
    const shown = scale === crisp ? (scale * columns) / screen : width;
    if (canvas.width !== scale * columns || canvas.height !== scale * rows) {
      canvas.width = scale * columns;
      canvas.height = scale * rows;
    }
    canvas.style.width = `${shown}px`;
    canvas.style.height = `${(shown * rows) / columns}px`;
    below.style.maxWidth = `${Math.max(shown, 260)}px`;
  }

  let stamps = {};
  function paintMarks(rows, columns) {
    const bytes = bytesOf(model.get("marks"));
    above.dataset.marks = bytes.length / 4;
    above.hidden = !bytes.length;
    if (!bytes.length) return;
    [above.width, above.height] = [canvas.width, canvas.height];
    [above.style.width, above.style.height] = [canvas.style.width, canvas.style.height];
    const site = canvas.width / columns;
    const screen = canvas.width / parseFloat(canvas.style.width);
    // As large as a plaquette allows, but not so large that many of them hide the picture.
    const crowd = Math.sqrt((0.12 * canvas.width * canvas.height) / (Math.PI * (bytes.length / 4))) / screen;
    const radius = Math.round(screen * Math.max(2, Math.min(9, crowd, Math.max(4.5, (0.6 * site) / screen))));
    if (stamps.radius !== radius) stamps = { radius, true: stamp(true, radius), false: stamp(false, radius) };
    const pen = above.getContext("2d");
    const list = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < bytes.length; i += 4) {
      const word = list.getUint32(i, true);
      const at = word >>> 1;
      const [x, y] = [(at % columns) + 1, Math.floor(at / columns) + 1].map((middle) => site * middle - radius - 1);
      pen.drawImage(stamps[word % 2 === 1], Math.round(x), Math.round(y));
    }
  }

  function paintKey() {
    const legend = model.get("legend");
    key.replaceChildren();
    key.hidden = !legend.kind && !legend.marked;
    if (legend.kind) {
      const scale = make("canvas");
      drawLegend(scale, legend, model.get("palette"));
      if (legend.kind === "bar") key.append(make("span", {}, short(legend.low)), scale, make("span", {}, short(legend.high)));
      else key.append(scale);
    }
    (legend.marked ?? []).forEach((name, i) => key.append(make("span", {}, stamp(i === 0, 7), name)));
  }

  function paint() {
    const [rows, columns] = [model.get("rows"), model.get("columns")];
    const pixels = bytesOf(model.get("pixels"));
    if (pixels.length !== rows * columns || !room) return;
    const palette = new Uint32Array(256);
    model.get("palette").forEach((hex, i) => {
      const rgb = parseInt(hex.slice(1), 16);
      palette[i] = 0xff000000 | ((rgb & 0xff) << 16) | (rgb & 0xff00) | (rgb >> 16);
    });
    const image = new ImageData(columns, rows);
    const colours = new Uint32Array(image.data.buffer);
    for (let i = 0; i < pixels.length; i++) colours[i] = palette[pixels[i]];
    sites.width = columns;
    sites.height = rows;
    sites.getContext("2d").putImageData(image, 0, 0);
    fit(rows, columns);
    const context = canvas.getContext("2d", { alpha: false });
    context.imageSmoothingEnabled = false;
    context.drawImage(sites, 0, 0, canvas.width, canvas.height);
    const frame = model.get("frame");
    canvas.dataset.checksum = adler32(pixels);
    canvas.dataset.frame = frame;
    paintMarks(rows, columns);
    acknowledge(frame);
  }

  function describe() {
    caption.textContent = model.get("caption");
    caption.hidden = !model.get("caption");
    canvas.setAttribute("aria-label", `${model.get("label")}, ${model.get("rows")} × ${model.get("columns")} sites`);
  }

  const request = oncePerFrame(paint);
  const stops = [
    listen(model, "change:pixels change:frame change:palette change:marks", request),
    listen(model, "change:legend", oncePerFrame(paintKey)),
    listen(model, "change:caption change:label change:rows change:columns", describe),
  ];
  const resized = new ResizeObserver(() => {
    room = figure.clientWidth;
    request();
  });
  resized.observe(figure);
  describe();
  paintKey();
  request();
  return () => {
    stops.forEach((stop) => stop());
    resized.disconnect();
    request.cancel();
  };
}

export default { render };
