/* The turning view: a camera around a target, the ground, the axes. */

const FIELD = Math.tan((17 * Math.PI) / 180); // of view, half
const START = { azimuth: 0.6, elevation: 0.2 };
const VIEWS = {
  camera: { azimuth: 0, elevation: 0 },
  side: { azimuth: Math.PI / 2, elevation: 0 },
  top: { azimuth: 0, elevation: 1.55 },
};

/** From the lower to the upper end in steps. */
function marksBetween([low, high], step) {
  const count = Math.round((high - low) / step);
  return Array.from({ length: count + 1 }, (_, i) => low + i * step);
}

/**
 * A perspective view of points in a camera's axes: x right, y down, z forward.
 * Azimuth 0 and elevation 0 look as the recording camera does.
 */
class Space {
  constructor(canvas, limits, redraw) {
    Object.assign(this, { canvas, redraw });
    this.pointers = new Map();
    this.travel = 0; // of the pointer since it went down, pixels
    canvas.addEventListener('pointerdown', (event) => this.down(event));
    canvas.addEventListener('pointermove', (event) => this.move(event));
    for (const name of ['pointerup', 'pointercancel']) {
      canvas.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    }
    canvas.addEventListener('contextmenu', (event) => event.preventDefault());
    const wheel = (event) => {
      event.preventDefault();
      this.zoom(Math.exp(event.deltaY * (event.deltaMode ? 0.05 : 0.0012)));
    };
    canvas.addEventListener('wheel', wheel, { passive: false });
    this.frame(limits);
  }

  /** Sets what is to be in sight. */
  frame(limits) {
    const { low, high } = limits;
    this.limits = limits;
    this.middle = low.map((value, axis) => (value + high[axis]) / 2);
    const [x, y, z] = low.map((value, axis) => Math.max(1e-3, (high[axis] - value) / 2));
    this.size = { across: Math.hypot(x, z), up: y };
    this.set(START);
  }

  set(view) {
    this.azimuth = view.azimuth;
    this.elevation = view.elevation;
    this.target = [...this.middle];
    this.distance = this.home();
  }

  /** From how far everything is in sight, however it turns around the vertical. */
  home() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const { across, up } = this.size;
    const tall = up * Math.cos(this.elevation) + across * Math.sin(Math.abs(this.elevation));
    const edge = Math.min(width, height) || 1;
    const needed = Math.max((across * edge) / (width || 1), (tall * edge) / (height || 1));
    // what comes nearer while it turns grows
    return (1.03 * needed) / FIELD + 0.5 * across;
  }

  reset() {
    this.set(START);
    this.redraw();
  }

  look(name) {
    this.set(VIEWS[name]);
    this.redraw();
  }

  zoom(factor) {
    const home = this.home();
    this.distance = Math.max(0.08 * home, Math.min(8 * home, this.distance * factor));
    this.redraw();
  }

  turn(right, down) {
    this.azimuth -= right;
    this.elevation = Math.max(-1.55, Math.min(1.55, this.elevation + down));
    this.redraw();
  }

  shift(right, down) {
    const scale = this.distance / this.focal;
    const [x, y, z] = this.back(right * scale, down * scale);
    this.target = [this.target[0] - x, this.target[1] - y, this.target[2] - z];
    this.redraw();
  }

  down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    if (!this.pointers.size) this.travel = 0;
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const gap = this.gap();
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    const [right, down] = [event.offsetX - before[0], event.offsetY - before[1]];
    this.travel += Math.abs(right) + Math.abs(down);
    if (gap) {
      this.zoom(gap / (this.gap() || gap));
      // each finger moves what is between them half as far
      this.shift(right / 2, down / 2);
    } else if (event.shiftKey || event.buttons & 6) this.shift(right, down);
    else this.turn(right * 0.008, down * 0.008);
  }

  /** Between two fingers, pixels; 0 for one. */
  gap() {
    if (this.pointers.size !== 2) return 0;
    const [a, b] = this.pointers.values();
    return Math.hypot(a[0] - b[0], a[1] - b[1]);
  }

  /** Keys while the view has the focus; whether one was meant for it. */
  key(event) {
    const turns = {
      ArrowLeft: [-0.1, 0],
      ArrowRight: [0.1, 0],
      ArrowUp: [0, -0.1],
      ArrowDown: [0, 0.1],
    };
    const zooms = { '+': 0.9, '=': 0.9, '-': 1 / 0.9 };
    if (turns[event.key]) this.turn(...turns[event.key]);
    else if (zooms[event.key]) this.zoom(zooms[event.key]);
    else return false;
    event.preventDefault();
    return true;
  }

  /** Sets the panel's size, once a picture. */
  begin(width, height) {
    this.centre = [width / 2, height / 2];
    this.focal = Math.min(width, height) / 2 / FIELD;
    this.cos = [Math.cos(this.azimuth), Math.cos(this.elevation)];
    this.sin = [Math.sin(this.azimuth), Math.sin(this.elevation)];
  }

  /** A direction of the scene, seen: right, down, away. */
  turned(x, y, z) {
    const across = this.cos[0] * x + this.sin[0] * z;
    const away = this.cos[0] * z - this.sin[0] * x;
    const down = this.cos[1] * y - this.sin[1] * away;
    return [across, down, this.cos[1] * away + this.sin[1] * y];
  }

  /** A direction on the screen, in the scene. */
  back(right, down) {
    const away = -this.sin[1] * down;
    const y = this.cos[1] * down;
    return [
      this.cos[0] * right - this.sin[0] * away,
      y,
      this.sin[0] * right + this.cos[0] * away,
    ];
  }

  /** Where a point is seen: x, y in pixels, pixels per metre there; null behind. */
  project(x, y, z) {
    const [tx, ty, tz] = this.target;
    const [right, down, away] = this.turned(x - tx, y - ty, z - tz);
    const depth = away + this.distance;
    if (!(depth > 0.02 * this.size.across)) return null;
    const scale = this.focal / depth;
    return [this.centre[0] + right * scale, this.centre[1] + down * scale, scale];
  }

  line(context, a, b) {
    const [from, to] = [this.project(...a), this.project(...b)];
    if (!from || !to) return;
    context.moveTo(from[0], from[1]);
    context.lineTo(to[0], to[1]);
  }

  /** The ground with a grid, its marks in metres, and which way the axes point. */
  drawGround(context, width, height) {
    const { step } = this.limits;
    const [x, z] = this.limits.grid.map((ends) => marksBetween(ends, step));
    this.drawFloor(context);
    this.drawGrid(context, x, z);
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    context.fillStyle = color('--faint');
    context.font = '10.5px system-ui, sans-serif';
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    this.drawMarks(context, x, z, digits);
    context.textAlign = 'right';
    context.fillText(`grid ${text(step, digits)} m`, width - 10, height - 12);
    context.textAlign = 'left';
    context.fillText('x right, y down, z forward', 10, height - 12);
    this.drawAxes(context);
  }

  drawFloor(context) {
    const { ground, grid } = this.limits;
    const [[x0, x1], [z0, z1]] = grid;
    const corners = [[x0, z0], [x1, z0], [x1, z1], [x0, z1]];
    const seen = corners.map(([x, z]) => this.project(x, ground, z));
    if (!seen.every(Boolean)) return;
    context.fillStyle = color('--floor');
    context.beginPath();
    for (const [x, y] of seen) context.lineTo(x, y);
    context.fill();
  }

  drawGrid(context, x, z) {
    const { ground } = this.limits;
    context.strokeStyle = color('--grid');
    context.lineWidth = 1;
    context.beginPath();
    for (const at of x) this.line(context, [at, ground, z[0]], [at, ground, z.at(-1)]);
    for (const at of z) this.line(context, [x[0], ground, at], [x.at(-1), ground, at]);
    context.stroke();
  }

  /** Numbers at the edges of the ground that are nearer to the eye. */
  drawMarks(context, x, z, digits) {
    const past = 0.28 * this.limits.step;
    const [nearZ, outZ] = this.cos[0] > 0 ? [z[0], -past] : [z.at(-1), past];
    const [nearX, outX] = this.sin[0] > 0 ? [x.at(-1), past] : [x[0], -past];
    const mark = (value, a, b) => {
      const at = this.project(a, this.limits.ground, b);
      if (at) context.fillText(text(value, digits), at[0], at[1]);
    };
    const [alongX, alongZ] = [Math.abs(this.cos[0]) > 0.35, Math.abs(this.sin[0]) > 0.35];
    if (alongX) for (const at of x) mark(at, at, nearZ + outZ);
    // in the corner of both edges there is room for one number
    const free = z.filter((at) => !(alongX && at === nearZ));
    if (alongZ) for (const at of free) mark(at, nearX + outX, at);
  }

  /** Which way the axes point, in the upper left corner. */
  drawAxes(context) {
    const [x, y, length] = [46, 46, 26];
    const axes = [
      ['x', [1, 0, 0], '#c0392b'],
      ['y', [0, 1, 0], '#2e8b57'],
      ['z', [0, 0, 1], '#2f6fb7'],
    ].map(([name, axis, ink]) => ({ name, ink, seen: this.turned(...axis) }));
    axes.sort((a, b) => b.seen[2] - a.seen[2]);
    context.lineWidth = 2;
    context.textAlign = 'center';
    for (const { name, ink, seen } of axes) {
      context.strokeStyle = shade(ink);
      context.fillStyle = shade(ink);
      const [right, down] = seen;
      const end = [x + right * length, y + down * length];
      strokeLine(context, [x, y], end);
      const long = Math.hypot(right, down);
      if (long < 0.3) continue; // it points at the eye
      context.fillText(name, end[0] + (9 * right) / long, end[1] + (9 * down) / long);
    }
    context.textAlign = 'left';
  }
}
