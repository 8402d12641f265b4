// The browser's half of course_utils/explore: it draws the actors and moves the controls. What it
// gets is described in spec.py. No dependencies. Everything in CSS pixels of the figure, y downwards;
// NaN lifts the pen.

const GAP = 65535;
const PLAY_SECONDS = 5; // one run of the play button, whatever the number of values
// JupyterLab takes keys away from a control unless the element itself says no.
const KEEP_KEYS = { "data-lm-suppress-shortcuts": "true" };

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// Three significant digits and a true minus sign: the same as shown() in _text.py.
function format(value) {
  if (typeof value === "string") return value;
  if (Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  let text;
  if (value !== 0 && (size < 1e-3 || size >= 1e5)) {
    const [mantissa, exponent] = value.toExponential(2).split("e");
    text = `${Number(mantissa)}e${Number(exponent)}`;
  } else {
    text = String(Number(value.toPrecision(3)));
  }
  return text === "-0" ? "0" : text.replaceAll("-", "−");
}

async function inflate(view) {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

async function picture(view) {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  return createImageBitmap(new Blob([bytes], { type: "image/png" }));
}

// ------------------------------------------------------------------ drawing

function trace(context, points, from, to) {
  context.beginPath();
  let down = false;
  for (let i = from; i < to; i++) {
    const x = points.x[i], y = points.y[i];
    if (Number.isNaN(x) || Number.isNaN(y)) { down = false; continue; }
    if (down) context.lineTo(x, y); else context.moveTo(x, y);
    down = true;
  }
}

function stamp(context, marker, x, y) {
  context.beginPath();
  for (const polygon of marker.polygons) {
    polygon.forEach(([dx, dy], i) => i ? context.lineTo(x + dx, y + dy) : context.moveTo(x + dx, y + dy));
    if (marker.fill) context.closePath();
  }
  if (marker.fill) { context.fillStyle = marker.fill; context.fill(); }
  if (marker.width > 0) { // a canvas would keep its old width instead of 0
    context.strokeStyle = marker.edge;
    context.lineWidth = marker.width;
    context.stroke();
  }
}

function drawArtist(context, look, points, count) {
  context.save();
  context.beginPath();
  context.rect(...look.box);
  context.clip();
  context.lineJoin = "round";
  context.fillStyle = look.fill;
  context.strokeStyle = look.color;
  context.lineWidth = look.width;
  context.setLineDash(look.dash);
  if (look.fill) {
    for (let from = 0; from < count; from++) { // one polygon at a time: where two overlap it is darker
      let to = from;
      while (to < count && !Number.isNaN(points.x[to])) to++;
      trace(context, points, from, to);
      context.closePath();
      context.fill();
      if (look.color && look.width > 0) context.stroke();
      from = to;
    }
  } else if (look.color && look.width > 0) {
    trace(context, points, 0, count);
    context.stroke();
  }
  context.setLineDash([]);
  if (look.marker) {
    let i = look.marker.last ? count - 1 : 0;
    while (look.marker.last && i > 0 && Number.isNaN(points.x[i])) i--;
    for (; i >= 0 && i < count; i++)
      if (!Number.isNaN(points.x[i]) && !Number.isNaN(points.y[i]))
        stamp(context, look.marker, points.x[i], points.y[i]);
  }
  context.restore();
}

// ------------------------------------------------------------------ where the data come from

// A source has { points(look, index), status(index) }: what to draw and to say where the controls
// stand at `index`. Here it is arrays over the grid of controls, whose axes have its length or 1.
function makeSource(spec, buffer) {
  const names = spec.controls.map((control) => control.name);
  const arrays = {};
  const kinds = { "<u2": Uint16Array, "<f8": Float64Array };
  for (const [key, entry] of Object.entries(spec.table)) {
    const length = entry.shape.reduce((product, n) => product * n, 1);
    arrays[key] = { shape: entry.shape, data: new kinds[entry.type](buffer, entry.offset, length) };
  }
  const place = (shape, index) =>
    shape.reduce((sum, n, axis) => sum * n + (n === 1 ? 0 : index[names[axis]]), 0);
  const span = 2 * spec.reach + 1;

  function points(look, index) {
    const { shape, data } = arrays[`artist:${look.name}`];
    const grid = shape.slice(1, -1), length = shape[shape.length - 1];
    const half = data.length / 2, offset = place(grid, index) * length;
    const control = spec.reveal[look.name];
    const count = control === undefined ? length : Math.min(length, index[control] + 1);
    const x = new Float32Array(count), y = new Float32Array(count);
    const decode = (code, size) => code === GAP ? NaN : (code / (GAP - 1) * span - spec.reach) * size;
    for (let i = 0; i < count; i++) {
      x[i] = decode(data[offset + i], spec.width);
      y[i] = decode(data[half + offset + i], spec.height);
    }
    return { x, y };
  }

  function status(index) {
    return spec.status.replace(/\{(\w+)\}/g, (_, name) => {
      const array = arrays[`value:${name}`];
      if (!array) return spec.controls.find((c) => c.name === name).texts[index[name]];
      const value = array.data[place(array.shape, index)];
      return name in spec.words ? spec.words[name][value] : format(value);
    });
  }
  return { points, status };
}

// ------------------------------------------------------------------ the pieces of a widget

// The still picture and what moves on it: { canvas, draw, close }.
async function makeStage(spec, png, canvas, drawn) {
  const stage = await picture(png);
  let still = stage; // the stage at the size it has on this screen, so that thin lines stay whole
  const context = canvas.getContext("2d");

  function draw() {
    const began = performance.now();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(still, 0, 0);
    context.scale(canvas.width / spec.width, canvas.height / spec.height);
    for (const [look, points] of drawn()) drawArtist(context, look, points, points.x.length);
    canvas.parentElement.dispatchEvent(
      new CustomEvent("descent:drawn", { detail: { ms: performance.now() - began } }));
  }

  let turn = 0, asked = 0;
  async function fit() {
    const wanted = (canvas.clientWidth || spec.width) * (window.devicePixelRatio || 1);
    const width = Math.min(stage.width, Math.round(wanted));
    if (width === asked) return;
    asked = width;
    const mine = ++turn;
    const height = Math.round(width * stage.height / stage.width);
    const fitted = await createImageBitmap(stage, { resizeWidth: width, resizeHeight: height, resizeQuality: "high" });
    if (mine !== turn) { fitted.close(); return; } // another size came in the meantime
    if (still !== stage) still.close();
    still = fitted;
    canvas.width = width;
    canvas.height = height;
    draw();
  }

  await fit();
  const observer = new ResizeObserver(fit);
  try { observer.observe(canvas, { box: "device-pixel-content-box" }); } // notices a change of zoom, too
  catch { observer.observe(canvas); }
  function close() {
    observer.disconnect();
    if (still !== stage) still.close();
    stage.close();
  }
  return { draw, close };
}

// A row for each control: { rows, show }. `moved(change)` hears of what the reader moved.
function makeControls(spec, index, moved) {
  const unique = Math.random().toString(36).slice(2, 9);
  const widgets = {};

  function show(name) {
    const { control, input, value } = widgets[name];
    input.value = index[name];
    if (!value) return;
    value.textContent = control.texts[index[name]];
    input.setAttribute("aria-valuetext", value.textContent);
  }

  function row(control) {
    const id = `de-${unique}-${control.name}`;
    const label = make("label", { for: id, class: "de-label" }, control.label);
    const common = { id, class: "de-control", "data-name": control.name, ...KEEP_KEYS };
    let input, value = null;
    if (control.menu) {
      input = make("select", common);
      control.texts.forEach((text, i) => input.append(make("option", { value: i }, text)));
    } else {
      input = make("input", { ...common, type: "range", min: 0, max: control.texts.length - 1, step: 1 });
      value = make("span", { class: "de-value", "aria-hidden": "true" }); // aria-valuetext says it
    }
    widgets[control.name] = { control, input, value };
    input.addEventListener("input", () => moved({ [control.name]: Number(input.value) }));
    return make("div", { class: "de-row" }, label, input, ...(value ? [value] : []));
  }

  return { rows: spec.controls.map(row), show };
}

// The play button: { button, stop }.
function makePlay(spec, index, root, status, set) {
  const button = make("button", { class: "de-play", type: "button", ...KEEP_KEYS });
  const played = spec.controls.find((control) => control.name === spec.play);
  let playing = 0;

  function label() {
    button.textContent = playing ? "❚❚ Pause" : "▶ Play";
    button.setAttribute("aria-label", `${playing ? "Pause" : "Play"}: ${played?.label}`);
    status.setAttribute("aria-live", playing ? "off" : "polite"); // not sixty sentences a second
  }

  function stop() { cancelAnimationFrame(playing); playing = 0; label(); }

  button.addEventListener("click", () => {
    if (playing) { stop(); return; }
    const end = played.texts.length - 1;
    const from = index[spec.play] >= end ? 0 : index[spec.play];
    let began = null;
    const tick = (now) => {
      began ??= now;
      const to = Math.min(end, from + Math.floor((now - began) / 1000 * end / PLAY_SECONDS));
      if (to !== index[spec.play] || now === began) set({ [spec.play]: to });
      if (to >= end || !root.isConnected) { stop(); return; }
      playing = requestAnimationFrame(tick);
    };
    playing = requestAnimationFrame(tick);
    label();
  });
  label();
  return { button, stop };
}

// Dragging in the picture moves the controls of the axes it began in.
function makePointer(spec, canvas, index, moved) {
  const inside = ([left, top, width, height], x, y) =>
    x >= left && x <= left + width && y >= top && y <= top + height;
  const where = (event) => {
    const bounds = canvas.getBoundingClientRect();
    return [(event.clientX - bounds.left) * spec.width / bounds.width,
            (event.clientY - bounds.top) * spec.height / bounds.height];
  };
  const zoneAt = (event) => spec.drag.find((zone) => inside(zone.box, ...where(event))) ?? null;
  let held = null;

  function pull(event) {
    const position = where(event);
    const change = {};
    held.controls.forEach((control, side) => {
      if (!control) return;
      const distance = control.pixels.map((pixel) => Math.abs(pixel - position[side]));
      change[control.name] = distance.indexOf(Math.min(...distance));
    });
    if (Object.entries(change).some(([name, at]) => index[name] !== at)) moved(change);
  }

  // A finger that may drag upwards must not scroll the page; any other may.
  canvas.style.touchAction = spec.drag.some((zone) => zone.controls[1]) ? "none" : "pan-y";
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return; // a menu, or a second finger
    held = zoneAt(event);
    if (!held) return;
    moved({}); // whatever plays, stops
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    pull(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!event.isPrimary) return;
    if (held) pull(event);
    else canvas.style.cursor = zoneAt(event) ? "crosshair" : "";
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, (event) => { if (event.isPrimary) held = null; });
}

// ------------------------------------------------------------------ the widget

async function render({ model, el }) {
  const spec = model.get("spec");
  const index = { ...spec.first }; // where each control stands
  const root = make("div", { class: "descent-explorer", role: "group", "aria-label": spec.alt });
  const canvas = make("canvas", { class: "de-stage", role: "img", "aria-label": spec.alt });
  const status = make("div", { class: "de-status", role: "status", "aria-live": "polite" });
  const panel = make("div", { class: "de-panel" });
  root.style.maxWidth = `${spec.width}px`;
  canvas.style.aspectRatio = `${spec.width} / ${spec.height}`;
  root.append(canvas, panel, status);
  el.append(root);

  let stage = null, pending = false;
  function set(change) { // at most one picture a frame
    Object.assign(index, change);
    Object.keys(change).forEach(controls.show);
    if (pending || !stage) return;
    pending = true;
    requestAnimationFrame(() => { pending = false; stage.draw(); });
  }
  function moved(change) { play.stop(); set(change); } // by the reader's hand

  const controls = makeControls(spec, index, moved);
  const play = makePlay(spec, index, root, status, set);
  const reset = make("button", { class: "de-reset", type: "button", ...KEEP_KEYS }, "↺ Reset");
  reset.addEventListener("click", () => moved({ ...spec.first }));
  const buttons = make("div", { class: "de-buttons" }, ...(spec.play ? [play.button] : []), reset);
  panel.append(...controls.rows, buttons);
  Object.keys(index).forEach(controls.show);
  makePointer(spec, canvas, index, moved);

  const source = makeSource(spec, await inflate(model.get("data")));
  stage = await makeStage(spec, model.get("stage"), canvas, () => {
    const text = source.status(index);
    if (status.textContent !== text) status.textContent = text;
    return spec.artists.map((look) => [look, source.points(look, index)]);
  });
  return () => { play.stop(); stage.close(); };
}

export default { render };
