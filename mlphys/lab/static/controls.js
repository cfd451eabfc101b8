// "T_c" with its c lowered.
function writeName(node, text) {
  const [name, below] = text.split(/_(.+)/);
  node.textContent = name;
  if (below) node.append(make("sub", {}, below));
}

// A slider counts in whole steps from 0, so that its ends and marks are exact whatever the step; the steps of a logarithmic one are ratios.
function scaleOf(spec) {
  const { low, high, step, log } = spec;
  const steps = Math.max(1, Math.round(log ? Math.log(high / low) / Math.log(step) : (high - low) / step));
  const decimals = spec.whole ? 0 : Math.max(0, Math.min(6, Math.ceil(-Math.log10(log ? low * (step - 1) : step) - 1e-9)));
  const exact = (i) => {
    if (i <= 0) return low;
    if (i >= steps) return high;
    return log ? low * (high / low) ** (i / steps) : low + i * step;
  };
  return {
    steps,
    value: (i) => (i <= 0 || i >= steps || log ? exact(i) : Number(exact(i).toFixed(10))),
    position: (x) => (log ? (Math.log(x / low) / Math.log(high / low)) * steps : (x - low) / step),
    write: (x) => (log && x >= 1000 ? x.toPrecision(3) : Number(x).toFixed(log ? Math.max(0, 2 - Math.floor(Math.log10(x))) : decimals)),
  };
}

function slider(spec, id, send) {
  const scale = scaleOf(spec);
  const input = make("input", { type: "range", id, min: 0, max: scale.steps, step: 1, "aria-describedby": `${id}-help` });
  const output = make("output", { for: id, "aria-hidden": "true" });
  const track = make("div", { class: "mlphys-track" }, input);
  let asked = null;
  // The first value goes out at once, those that follow it once per frame.
  let [open, sent] = [true, null];
  const nextFrame = oncePerFrame(() => {
    open = true;
    if (asked !== sent) request();
  });
  const request = () => {
    if (!open) return;
    open = false;
    send((sent = asked));
    nextFrame();
  };
  const shown = (x) => {
    output.textContent = scale.write(x);
    if (spec.unit) {
      output.append(make("span", { class: "mlphys-unit" }));
      writeName(output.lastChild, ` ${spec.unit}`);
    }
    input.setAttribute("aria-valuetext", `${scale.write(x)} ${spec.unit}`.trim());
    input.style.setProperty("--done", `${(100 * input.value) / scale.steps}%`);
  };
  input.addEventListener("input", () => {
    asked = scale.value(input.valueAsNumber);
    if (spec.whole) asked = Math.round(asked);
    shown(asked);
    request();
  });
  if (spec.marks.length) {
    const marks = make("div", { class: "mlphys-marks" });
    for (const [value, name] of spec.marks) {
      const mark = make("button", { type: "button", title: `set ${scale.write(value)}`, "aria-label": `${spec.label}: set ${name}` });
      writeName(mark, name);
      mark.style.setProperty("--at", scale.position(value) / scale.steps);
      mark.addEventListener("click", () => {
        input.value = Math.round(scale.position(value));
        shown((asked = value));
        request();
      });
      marks.append(mark);
    }
    track.append(marks);
  }
  return {
    parts: [output, track],
    set: (x) => {
      input.value = Math.round(scale.position(x));
      shown(x);
    },
  };
}

function choice(spec, id, send) {
  const input = make("select", { id, "aria-describedby": `${id}-help` });
  for (const option of spec.options) input.append(make("option", { value: option }, option));
  input.addEventListener("change", () => send(input.value));
  const unit = make("span", { class: "mlphys-unit" }, spec.unit);
  return { parts: [unit, input], set: (x) => (input.value = String(x)) };
}

function toggle(spec, id, send) {
  const input = make("input", { type: "checkbox", role: "switch", id, "aria-describedby": `${id}-help` });
  input.addEventListener("change", () => send(input.checked));
  return { parts: [make("span"), input], set: (x) => (input.checked = x) };
}

const KINDS = { range: slider, choice, switch: toggle };

function render({ model, el }) {
  adopt(el);
  const group = make("div", { class: "mlphys-controls", role: "group", "aria-label": model.get("label"), "data-mlphys": "controls" });
  el.append(group);
  const stops = [];
  for (const spec of model.get("specification")) {
    const id = `mlphys-${Math.random().toString(36).slice(2)}`;
    const row = make("div", { class: "mlphys-control", "data-mlphys": "control", "data-name": spec.name, "data-kind": spec.kind });
    const label = make("label", { for: id });
    writeName(label, spec.label);
    const help = make("small", { id: `${id}-help` }, spec.description);
    const control = KINDS[spec.kind](spec, id, (value) => {
      row.dataset.value = value;
      model.set(spec.name, value);
      model.save_changes();
    });
    row.append(label, ...control.parts);
    if (spec.description) row.append(help);
    const follow = () => {
      row.dataset.value = model.get(spec.name);
      control.set(model.get(spec.name));
    };
    follow();
    stops.push(listen(model, `change:${spec.name}`, follow));
    group.append(row);
  }
  return () => stops.forEach((stop) => stop());
}

export default { render };
