// Draws a packed trajectory (see viewer.py) on a 2D canvas: shaded spheres from back to front, orthographic.
"use strict";
(function () {
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  const get = (id) => document.getElementById("viewer-" + id);
  const canvas = get("canvas"), pen = canvas.getContext("2d");
  const slider = get("slider"), timeBox = get("time"), playButton = get("play"), legend = get("legend");
  const n = data.atoms, METAL = 5, FREE = 0, ABSORBED = 1;

  function bytes(text) {
    const raw = atob(text), out = new Uint8Array(raw.length);
    for (let k = 0; k < raw.length; k++) out[k] = raw.charCodeAt(k);
    return out;
  }
  const element = bytes(data.element), species = bytes(data.species), shade = bytes(data.shade);
  const places = new Uint16Array(bytes(data.positions).buffer);
  const bondBytes = bytes(data.bonds).buffer;
  const bonds = data.bond_bytes === 2 ? new Uint16Array(bondBytes) : new Uint32Array(bondBytes);
  const bondStart = [0];
  for (const count of data.bond_counts) bondStart.push(bondStart[bondStart.length - 1] + count);
  const hydrogenElement = data.elements.indexOf("H");

  const state = { frame: 0, playing: false, turn: null, zoom: 1, shift: [0, 0], mode: "species" };

  // Rotation matrices are arrays of nine, rows first; screen = turn * (place - middle of the cell).
  const times = (a, b) => [0, 3, 6].flatMap((r) => [0, 1, 2].map(
    (c) => a[r] * b[c] + a[r + 1] * b[3 + c] + a[r + 2] * b[6 + c]));
  const about = (axis, angle) => {
    const c = Math.cos(angle), s = Math.sin(angle);
    return axis === "x" ? [1, 0, 0, 0, c, -s, 0, s, c] : [c, 0, s, 0, 1, 0, -s, 0, c];
  };
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const unit = (a) => { const l = Math.hypot(a[0], a[1], a[2]); return a.map((x) => x / l); };
  const vector = (cell, k) => cell.slice(3 * k, 3 * k + 3);

  function frameOf(view) { // rows: right, up, towards the eye
    const cell = data.cells[0], a = vector(cell, (data.axis + 1) % 3), b = vector(cell, (data.axis + 2) % 3);
    const normal = unit(cross(a, b)), right = unit(a), deep = cross(normal, right);
    return view === "top" ? [...right, ...deep, ...normal] : [...right, ...normal, ...deep.map((x) => -x)];
  }
  function look(view) {
    const base = frameOf(view);
    state.turn = view === "side" ? times(about("x", 0.12), times(about("y", -0.22), base)) : base;
    state.zoom = 1;
    state.shift = [0, 0];
    draw();
  }

  const mix = (map, share) => map[Math.max(0, Math.min(map.length - 1, Math.round(share * (map.length - 1))))];
  const elementColours = data.elements.map((symbol) => (symbol === "H" ? "#F2F2F2" : "#3DB35A"));
  function colour(k, at) {
    if (state.mode === "element") return elementColours[element[k]];
    const kind = species[at];
    if (state.mode === "order") {
      if (kind === METAL) return mix(data.order_map, shade[at] / 255);
      if (kind === ABSORBED && shade[at] < 255) return mix(data.age_map, shade[at] / 254);
      return kind === ABSORBED ? data.age_map[0] : data.species_colours[kind];
    }
    return data.species_colours[kind];
  }

  // One sphere a colour, drawn once and copied from then on.
  const spheres = new Map();
  function sphere(hex) {
    let image = spheres.get(hex);
    if (image) return image;
    const size = 64;
    image = document.createElement("canvas");
    image.width = image.height = size;
    const brush = image.getContext("2d");
    const [r, g, b] = [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
    const tone = (f) => `rgb(${[r, g, b].map((x) => Math.round(f > 1 ? x + (255 - x) * (f - 1) : x * f)).join(",")})`;
    const glow = brush.createRadialGradient(0.36 * size, 0.32 * size, 0.02 * size, 0.5 * size, 0.5 * size, 0.5 * size);
    glow.addColorStop(0, tone(1.75));
    glow.addColorStop(0.35, tone(1.1));
    glow.addColorStop(0.85, tone(0.72));
    glow.addColorStop(1, tone(0.42));
    brush.fillStyle = glow;
    brush.beginPath();
    brush.arc(size / 2, size / 2, size / 2 - 1, 0, 2 * Math.PI);
    brush.fill();
    spheres.set(hex, image);
    return image;
  }

  const screen = new Float32Array(3 * n), world = new Float32Array(3 * n);
  function draw() {
    const ratio = window.devicePixelRatio || 1, wide = canvas.clientWidth, high = canvas.clientHeight;
    if (canvas.width !== Math.round(wide * ratio) || canvas.height !== Math.round(high * ratio)) {
      canvas.width = Math.round(wide * ratio);
      canvas.height = Math.round(high * ratio);
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = "#FFFFFF";
    pen.fillRect(0, 0, wide, high);
    const f = state.frame, cell = data.cells[f], m = state.turn;
    const lengths = [0, 1, 2].map((k) => Math.hypot(...vector(cell, k)));
    const up = lengths[data.axis], across = Math.max(lengths[(data.axis + 1) % 3], lengths[(data.axis + 2) % 3]);
    const scale = state.zoom * Math.min(high / (1.12 * up), wide / (1.5 * across));
    const middle = [0, 1, 2].map((c) => 0.5 * (cell[c] + cell[3 + c] + cell[6 + c]));
    const project = (p) => {
      const d = [p[0] - middle[0], p[1] - middle[1], p[2] - middle[2]];
      return [wide / 2 + state.shift[0] + scale * (m[0] * d[0] + m[1] * d[1] + m[2] * d[2]),
        high / 2 + state.shift[1] - scale * (m[3] * d[0] + m[4] * d[1] + m[5] * d[2]),
        m[6] * d[0] + m[7] * d[1] + m[8] * d[2]];
    };
    if (get("cell").checked) drawCell(cell, project);

    const showFree = get("free").checked, base = f * n;
    const items = [];
    for (let k = 0; k < n; k++) {
      const s = 3 * (base + k), fx = places[s] / 65536, fy = places[s + 1] / 65536, fz = places[s + 2] / 65536;
      for (let c = 0; c < 3; c++) world[3 * k + c] = fx * cell[c] + fy * cell[3 + c] + fz * cell[6 + c];
      const at = project([world[3 * k], world[3 * k + 1], world[3 * k + 2]]);
      screen.set(at, 3 * k);
      if (showFree || species[base + k] !== FREE) items.push([at[2], k]);
    }
    if (get("bonds").checked) {
      const inverse = invert(cell);
      for (let b = bondStart[f]; b < bondStart[f + 1]; b++) {
        const i = bonds[2 * b], j = bonds[2 * b + 1];
        if (!showFree && (species[base + i] === FREE || species[base + j] === FREE)) continue;
        // The nearest image, drawn from both ends, so that a bond through the border is seen on either side.
        let step = [0, 1, 2].map((c) => world[3 * j + c] - world[3 * i + c]);
        const whole = [0, 1, 2].map((c) => Math.round(
          step[0] * inverse[c] + step[1] * inverse[3 + c] + step[2] * inverse[6 + c]));
        step = step.map((x, c) => x - whole[0] * cell[c] - whole[1] * cell[3 + c] - whole[2] * cell[6 + c]);
        for (const [k, sign] of [[i, 0.5], [j, -0.5]]) {
          const from = [0, 1, 2].map((c) => world[3 * k + c]);
          const end = project(from.map((x, c) => x + sign * step[c]));
          items.push([0.5 * (screen[3 * k + 2] + end[2]) - 1e-3, k, end]);
        }
      }
    }
    items.sort((a, b) => a[0] - b[0]);
    pen.lineCap = "round";
    for (const [, k, end] of items) {
      const hex = colour(k, base + k), x = screen[3 * k], y = screen[3 * k + 1];
      if (end) {
        pen.strokeStyle = hex;
        pen.lineWidth = Math.max(1, 0.22 * scale);
        pen.beginPath();
        pen.moveTo(x, y);
        pen.lineTo(end[0], end[1]);
        pen.stroke();
      } else {
        const r = data.radii[element[k]] * scale;
        pen.drawImage(sphere(hex), x - r, y - r, 2 * r, 2 * r);
      }
    }
    timeBox.textContent = `${data.times_ps[f].toFixed(2)} ps (${f + 1}/${data.frames})`;
  }

  function drawCell(cell, project) {
    const corner = (i, j, k) => project([0, 1, 2].map((c) => i * cell[c] + j * cell[3 + c] + k * cell[6 + c]));
    pen.strokeStyle = "#9AA5AD";
    pen.lineWidth = 1;
    pen.beginPath();
    for (const [a, b] of [[0, 1], [0, 2], [0, 4], [1, 3], [1, 5], [2, 3], [2, 6], [4, 5], [4, 6], [3, 7], [5, 7],
      [6, 7]]) {
      const p = corner(a & 1, (a >> 1) & 1, a >> 2), q = corner(b & 1, (b >> 1) & 1, b >> 2);
      pen.moveTo(p[0], p[1]);
      pen.lineTo(q[0], q[1]);
    }
    pen.stroke();
    if (!data.slab) return;
    const height = data.heights[state.frame];
    pen.strokeStyle = "#222222";
    pen.setLineDash([5, 4]);
    for (const face of data.faces[state.frame]) {
      pen.beginPath();
      for (const [i, j] of [[0, 0], [1, 0], [1, 1], [0, 1]]) {
        const share = [0, 0, 0];
        share[data.axis] = face / height;
        share[(data.axis + 1) % 3] = i;
        share[(data.axis + 2) % 3] = j;
        const p = corner(...share);
        if (i + j === 0) pen.moveTo(p[0], p[1]); else pen.lineTo(p[0], p[1]);
      }
      pen.closePath();
      pen.stroke();
    }
    pen.setLineDash([]);
  }

  function invert(c) { // columns of the inverse, so that fractions = step . column
    const rows = [vector(c, 0), vector(c, 1), vector(c, 2)];
    const v = rows[0].reduce((s, x, k) => s + x * cross(rows[1], rows[2])[k], 0);
    const cols = [cross(rows[1], rows[2]), cross(rows[2], rows[0]), cross(rows[0], rows[1])];
    return [0, 1, 2].flatMap((r) => cols.map((col) => col[r] / v));
  }

  function show(frame) {
    state.frame = Math.max(0, Math.min(data.frames - 1, frame));
    slider.value = state.frame;
    draw();
  }
  let last = 0;
  function step(now) {
    if (!state.playing) return;
    if (now - last >= 1000 / Number(get("speed").value)) {
      last = now;
      show(state.frame + 1 >= data.frames ? 0 : state.frame + 1);
    }
    requestAnimationFrame(step);
  }
  function play(on) {
    state.playing = on;
    playButton.textContent = on ? "Pause" : "Play";
    if (on) requestAnimationFrame(step);
  }

  function drawLegend() {
    const low = (text) => text.replace(/H(\d)/g, "H<sub>$1</sub>");
    const dot = (hex, text) => `<span><i style="background:${hex}"></i>${text}</span>`;
    const bar = (map, text) => `<span><i class="bar" style="background:linear-gradient(90deg,${map.join(",")})"></i>`
      + `${text}</span>`;
    let parts;
    if (state.mode === "element") parts = data.elements.map((s, k) => dot(elementColours[k], s));
    else if (state.mode === "species") parts = data.species_names.map((s, k) => dot(data.species_colours[k], low(s)));
    else {
      parts = [bar(data.order_map, `metal: order q&#772;&#8326; ${data.order_range.join(" to ")}`),
        bar(data.age_map, `absorbed H&#8322;: inside for 0 to ${data.longest_ps} ps`),
        ...[0, 2, 3, 4].map((k) => dot(data.species_colours[k], low(data.species_names[k])))];
    }
    legend.innerHTML = parts.join("");
  }

  slider.max = data.frames - 1;
  slider.addEventListener("input", () => show(Number(slider.value)));
  playButton.addEventListener("click", () => play(!state.playing));
  get("back").addEventListener("click", () => { play(false); show(state.frame - 1); });
  get("next").addEventListener("click", () => { play(false); show(state.frame + 1); });
  get("side").addEventListener("click", () => look("side"));
  get("top").addEventListener("click", () => look("top"));
  get("colour").addEventListener("change", (e) => { state.mode = e.target.value; drawLegend(); draw(); });
  for (const id of ["bonds", "free", "cell"]) get(id).addEventListener("change", draw);
  document.getElementById("viewer").addEventListener("keydown", (e) => {
    if (["INPUT", "SELECT", "BUTTON"].includes(e.target.tagName)) return;
    if (e.key === " ") play(!state.playing);
    else if (e.key === "ArrowRight") show(state.frame + 1);
    else if (e.key === "ArrowLeft") show(state.frame - 1);
    else return;
    e.preventDefault();
  });
  let held = null;
  canvas.addEventListener("pointerdown", (e) => {
    held = [e.clientX, e.clientY];
    canvas.setPointerCapture(e.pointerId);
  });
  canvas.addEventListener("pointermove", (e) => {
    if (!held) return;
    const dx = e.clientX - held[0], dy = e.clientY - held[1];
    held = [e.clientX, e.clientY];
    if (e.shiftKey) state.shift = [state.shift[0] + dx, state.shift[1] + dy];
    else state.turn = times(about("x", 0.008 * dy), times(about("y", 0.008 * dx), state.turn));
    draw();
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { held = null; });
  canvas.addEventListener("wheel", (e) => {
    e.preventDefault();
    state.zoom = Math.max(0.2, Math.min(20, state.zoom * Math.exp(-0.0012 * e.deltaY)));
    draw();
  }, { passive: false });
  new ResizeObserver(draw).observe(canvas);

  window.megabarViewer = state;  // for tests and the console
  drawLegend();
  look("side");
})();
