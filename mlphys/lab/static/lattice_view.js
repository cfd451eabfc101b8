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

function render({ model, el }) {
  adopt(el);
  const acknowledge = acknowledger(model);
  const canvas = make("canvas", { "data-mlphys": "lattice", role: "img" });
  const caption = make("figcaption", { "aria-hidden": "true" });
  const figure = make("figure", { class: "mlphys-lattice" }, canvas, caption);
  el.append(figure);
  const sites = document.createElement("canvas");
  let room = 0;

  // Pixels that are whole multiples of a site where that costs little size; else drawn larger and scaled down smoothly,
  // so that no row of sites looks thicker than its neighbour.
  function fit(rows, columns) {
    const screen = window.devicePixelRatio || 1;
    const widest = Math.min(room, model.get("size"), 0.74 * window.innerHeight);
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
    caption.style.maxWidth = `${shown}px`;
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
    acknowledge(frame);
  }

  function describe() {
    caption.textContent = model.get("caption");
    caption.hidden = !model.get("caption");
    canvas.setAttribute("aria-label", `${model.get("label")}, ${model.get("rows")} × ${model.get("columns")} sites`);
  }

  const request = oncePerFrame(paint);
  const stops = [
    listen(model, "change:pixels change:frame change:palette", request),
    listen(model, "change:caption change:label change:rows change:columns", describe),
  ];
  const resized = new ResizeObserver(() => {
    room = figure.clientWidth;
    request();
  });
  resized.observe(figure);
  describe();
  request();
  return () => {
    stops.forEach((stop) => stop());
    resized.disconnect();
    request.cancel();
  };
}

export default { render };
