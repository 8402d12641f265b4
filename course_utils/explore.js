// The browser's half of course_utils/explore.py: it draws the actors and moves the controls.
// No dependencies. Everything in CSS pixels of the figure, y downwards; NaN lifts the pen.

const GAP = 65535;
const PLAY_SECONDS = 5;   // one run of the play button, whatever the number of values
const PATIENCE_MS = 4000; // after this a live explorer says that the kernel does not answer

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// Three significant digits and a true minus sign: the same as _text() in explore.py.
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

// Arrays over the grid of controls, whose axes have the control's length or 1.
function lookupSource(spec, buffer) {
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

function liveFrame(spec, model) {
  const view = model.get("points");
  const all = new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
  let at = 0;
  return model.get("answer").counts.map((count) => {
    const frame = { x: all.subarray(at, at + count), y: all.subarray(at + count, at + 2 * count) };
    at += 2 * count;
    return frame;
  });
}

// ------------------------------------------------------------------ the widget

async function render({ model, el }) {
  const spec = model.get("spec");
  const live = spec.kind === "live";
  const last = live ? model.get("answer") : null; // a view made later begins where the model is
  const index = { ...(last?.index ?? spec.first) };
  const unique = Math.random().toString(36).slice(2, 9);
  const root = make("div", { class: "descent-explorer", "data-kind": spec.kind, role: "group", "aria-label": spec.alt });
  const canvas = make("canvas", { class: "de-stage", role: "img", "aria-label": spec.alt });
  const status = make("div", { class: "de-status", role: "status", "aria-live": "polite" });
  const panel = make("div", { class: "de-panel" });
  // A finger that may drag upwards must not scroll the page; any other may.
  canvas.style.touchAction = (spec.drag ?? []).some((zone) => zone.controls[1]) ? "none" : "pan-y";
  root.style.maxWidth = `${spec.width}px`;
  canvas.style.aspectRatio = `${spec.width} / ${spec.height}`;
  root.append(canvas, panel, status);
  el.append(root);

  const stage = await picture(model.get("stage"));
  let still = stage; // the stage at the size it has on this screen, so that thin lines stay whole
  const context = canvas.getContext("2d");
  const source = live ? null : lookupSource(spec, await inflate(model.get("data")));
  let frame = live ? liveFrame(spec, model) : null;

  function say(text) {
    if (status.textContent !== text) status.textContent = text;
  }

  function draw() {
    const began = performance.now();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(still, 0, 0);
    context.scale(canvas.width / spec.width, canvas.height / spec.height);
    spec.artists.forEach((look, k) => {
      const points = live ? frame[k] : source.points(look, index);
      drawArtist(context, look, points, points.x.length);
    });
    if (!live) say(source.status(index));
    root.dispatchEvent(new CustomEvent("descent:drawn", { detail: { ms: performance.now() - began } }));
  }

  let turn = 0;
  async function fit() {
    const wanted = (canvas.clientWidth || spec.width) * (window.devicePixelRatio || 1);
    const width = Math.min(stage.width, Math.round(wanted));
    if (width === canvas.width) return;
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

  // ---- controls

  const widgets = {};
  function show(name, text) {
    const control = spec.controls.find((c) => c.name === name);
    const { input, value } = widgets[name];
    input.value = index[name];
    if (!value) return;
    value.textContent = text ?? control.texts[index[name]];
    input.setAttribute("aria-valuetext", value.textContent);
  }

  // JupyterLab takes keys away from a control unless the element itself says no.
  const keep = { "data-lm-suppress-shortcuts": "true" };
  for (const control of spec.controls) {
    const id = `de-${unique}-${control.name}`;
    const label = make("label", { for: id, class: "de-label" }, control.label);
    let input, value = null;
    if (control.menu) {
      input = make("select", { id, class: "de-control", "data-name": control.name, ...keep });
      control.texts.forEach((text, i) => input.append(make("option", { value: i }, text)));
    } else {
      input = make("input", { id, class: "de-control", "data-name": control.name, type: "range",
        min: 0, max: control.texts.length - 1, step: 1, ...keep });
      value = make("span", { class: "de-value", "aria-hidden": "true" }); // aria-valuetext says it
    }
    widgets[control.name] = { input, value };
    input.addEventListener("input", () => { stop(); set({ [control.name]: Number(input.value) }); });
    panel.append(make("div", { class: "de-row" }, label, input, ...(value ? [value] : [])));
  }
  const buttons = make("div", { class: "de-buttons" });
  const playButton = make("button", { class: "de-play", type: "button", ...keep });
  const resetButton = make("button", { class: "de-reset", type: "button", ...keep }, "↺ Reset");
  if (spec.play) buttons.append(playButton);
  buttons.append(resetButton);
  panel.append(buttons);
  resetButton.addEventListener("click", () => { stop(); queue = []; set({ ...spec.first }); });

  // ---- moving: at most one picture a frame, at most one question to the kernel at a time

  let pending = false;
  let asked = "", answered = "", count = 0; // the numbers of this view's questions, its own among all views
  let queue = [], timer = 0;                // what is to be asked next: controls moved, then perhaps a click
  let exact = { ...(last?.exact ?? {}) };   // values between those of a slider, from a click

  function set(change, click = null) {
    Object.assign(index, change);
    for (const name of Object.keys(change)) { delete exact[name]; show(name); }
    if (live) {
      if (!queue.length || queue.at(-1).click) queue.push({ moved: new Set(), click: null });
      for (const name of Object.keys(change)) queue.at(-1).moved.add(name);
      queue.at(-1).click = click;
      ask();
      return;
    }
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => { pending = false; draw(); });
  }

  function ask() {
    if (!queue.length || asked !== answered) return;
    asked = `${unique}:${++count}`;
    const { click } = queue.shift();
    model.set("question", { number: asked, index: { ...index }, exact: { ...exact }, click });
    model.save_changes();
    clearTimeout(timer);
    timer = setTimeout(() => say("Waiting for the kernel. If it was restarted or shut down, run this cell again."), PATIENCE_MS);
  }

  function hear() {
    const answer = model.get("answer");
    const mine = answer.number === asked;
    if (!mine && asked !== answered) return; // another view's, while ours is still to come
    if (mine) { clearTimeout(timer); answered = asked; }
    frame = liveFrame(spec, model);
    for (const name of Object.keys(answer.index)) {
      if (queue.some(({ moved }) => moved.has(name))) continue; // moved here since it was asked
      index[name] = answer.index[name];
      if (name in answer.exact) exact[name] = answer.exact[name];
      show(name, answer.texts[name]);
    }
    say(answer.status);
    requestAnimationFrame(draw);
    ask();
  }
  if (live) model.on("change:answer", hear);

  // ---- play

  let playing = 0;
  const played = spec.controls.find((control) => control.name === spec.play);
  function label() {
    playButton.textContent = playing ? "❚❚ Pause" : "▶ Play";
    playButton.setAttribute("aria-label", `${playing ? "Pause" : "Play"}: ${played?.label}`);
    status.setAttribute("aria-live", playing ? "off" : "polite"); // not sixty sentences a second
  }
  function stop() { cancelAnimationFrame(playing); playing = 0; label(); }
  playButton.addEventListener("click", () => {
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

  // ---- the pointer: drag (lookup) or click (live) in the picture

  const inside = ([left, top, width, height], x, y) =>
    x >= left && x <= left + width && y >= top && y <= top + height;
  const where = (event) => {
    const bounds = canvas.getBoundingClientRect();
    return [(event.clientX - bounds.left) * spec.width / bounds.width,
            (event.clientY - bounds.top) * spec.height / bounds.height];
  };
  let held = null;
  function pull(event) {
    const position = where(event);
    const change = {};
    held.controls.forEach((control, side) => {
      if (!control) return;
      const distance = control.pixels.map((pixel) => Math.abs(pixel - position[side]));
      change[control.name] = distance.indexOf(Math.min(...distance));
    });
    if (Object.entries(change).some(([name, at]) => index[name] !== at)) set(change);
  }
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return; // a menu, or a second finger
    const [x, y] = where(event);
    held = (spec.drag ?? []).find((zone) => inside(zone.box, x, y)) ?? null;
    const clicked = (spec.clicks ?? []).findIndex((box) => inside(box, x, y));
    if (!held && clicked < 0) return;
    stop();
    event.preventDefault();
    if (held) { canvas.setPointerCapture(event.pointerId); pull(event); }
    else set({}, { axes: clicked, x, y });
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!event.isPrimary) return;
    if (held) { pull(event); return; }
    const [x, y] = where(event);
    const zones = [...(spec.drag ?? []).map((zone) => zone.box), ...(spec.clicks ?? [])];
    canvas.style.cursor = zones.some((box) => inside(box, x, y)) ? "crosshair" : "";
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, (event) => { if (event.isPrimary) held = null; });

  label();
  for (const name of Object.keys(index)) show(name, last?.texts[name]);
  if (live) say(last.status);
  await fit();
  const observer = new ResizeObserver(fit);
  try { observer.observe(canvas, { box: "device-pixel-content-box" }); } // notices a change of zoom, too
  catch { observer.observe(canvas); }
  return () => {
    stop();
    clearTimeout(timer);
    observer.disconnect();
    if (live) model.off("change:answer", hear);
    if (still !== stage) still.close();
    stage.close();
  };
}

export default { render };
