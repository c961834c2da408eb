/* The turning view: a camera around a target, the ground, the axes. */

const FIELD = Math.tan((17 * Math.PI) / 180); // of view, half
const START = { azimuth: -0.6, elevation: 0.2 };
const VIEWS = {
  camera: { azimuth: 0, elevation: 0 },
  side: { azimuth: -Math.PI / 2, elevation: 0 },
  top: { azimuth: 0, elevation: 1.55 },
};

/**
 * A perspective view of points in a camera's axes: x right, y down, z forward.
 * Azimuth 0 and elevation 0 look as the recording camera does.
 */
class Space {
  constructor(canvas, limits, redraw) {
    Object.assign(this, { canvas, redraw });
    this.pointers = new Map();
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
    this.reach = Math.max(1e-3, Math.hypot(...low.map((v, i) => high[i] - v)) / 2);
    this.set(START);
  }

  set(view) {
    this.azimuth = view.azimuth;
    this.elevation = view.elevation;
    this.target = [...this.middle];
    this.distance = (0.97 * this.reach) / FIELD;
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
    const home = this.reach / FIELD;
    this.distance = Math.max(0.08 * home, Math.min(8 * home, this.distance * factor));
    this.redraw();
  }

  turn(right, down) {
    this.azimuth -= right;
    this.elevation = Math.max(-1.55, Math.min(1.55, this.elevation + down));
    this.redraw();
  }

  shift(right, down) {
    const scale = (2 * FIELD * this.distance) / this.canvas.clientHeight;
    const [x, y, z] = this.back(right * scale, down * scale);
    this.target = [this.target[0] - x, this.target[1] - y, this.target[2] - z];
    this.redraw();
  }

  down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const gap = this.gap();
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    const [right, down] = [event.offsetX - before[0], event.offsetY - before[1]];
    if (gap) this.zoom(gap / (this.gap() || gap));
    else if (event.shiftKey || event.buttons & 6) this.shift(right, down);
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
    this.focal = height / 2 / FIELD;
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
    if (!(depth > 0.02 * this.reach)) return null;
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
    const { ground, step } = this.limits;
    const [x, z] = this.limits.grid;
    const corners = [
      [x[0], z[0]],
      [x[1], z[0]],
      [x[1], z[1]],
      [x[0], z[1]],
    ].map(([a, b]) => this.project(a, ground, b));
    if (corners.every(Boolean)) {
      context.fillStyle = color('--floor');
      context.beginPath();
      corners.forEach(([a, b]) => context.lineTo(a, b));
      context.fill();
    }
    context.strokeStyle = color('--grid');
    context.lineWidth = 1;
    context.beginPath();
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    for (let i = 0; i <= Math.round((x[1] - x[0]) / step); i++) {
      const at = x[0] + i * step;
      this.line(context, [at, ground, z[0]], [at, ground, z[1]]);
    }
    for (let i = 0; i <= Math.round((z[1] - z[0]) / step); i++) {
      const at = z[0] + i * step;
      this.line(context, [x[0], ground, at], [x[1], ground, at]);
    }
    context.stroke();
    // numbers stand at the edges that are nearer to the eye
    const nearZ = this.cos[0] > 0 ? z[0] : z[1];
    const nearX = this.sin[0] > 0 ? x[1] : x[0];
    context.fillStyle = color('--faint');
    context.font = '10.5px system-ui, sans-serif';
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    const past = step * 0.28;
    const mark = (label, a, b) => {
      const at = this.project(a, ground, b);
      if (at) context.fillText(label, at[0], at[1]);
    };
    const outZ = nearZ === z[0] ? -past : past;
    const outX = nearX === x[0] ? -past : past;
    if (Math.abs(this.cos[0]) > 0.35) {
      for (let i = 0; i <= Math.round((x[1] - x[0]) / step); i++) {
        mark(text(x[0] + i * step, digits), x[0] + i * step, nearZ + outZ);
      }
    }
    if (Math.abs(this.sin[0]) > 0.35) {
      for (let i = 0; i <= Math.round((z[1] - z[0]) / step); i++) {
        mark(text(z[0] + i * step, digits), nearX + outX, z[0] + i * step);
      }
    }
    context.textAlign = 'right';
    context.fillText(`grid ${text(step, digits)} m`, width - 10, height - 12);
    context.textAlign = 'left';
    this.drawAxes(context, height);
  }

  drawAxes(context, height) {
    const [x, y, length] = [58, height - 52, 26];
    const axes = [
      ['x right', [1, 0, 0], '#c0392b'],
      ['y down', [0, 1, 0], '#2e8b57'],
      ['z forward', [0, 0, 1], '#2f6fb7'],
    ].map(([name, axis, ink]) => ({ name, ink, seen: this.turned(...axis) }));
    axes.sort((a, b) => b.seen[2] - a.seen[2]);
    context.lineWidth = 2;
    context.textAlign = 'center';
    for (const { name, ink, seen } of axes) {
      context.strokeStyle = shade(ink);
      context.fillStyle = shade(ink);
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x + seen[0] * length, y + seen[1] * length);
      context.stroke();
      const far = 1 + 13 / Math.max(length * Math.hypot(seen[0], seen[1]), 13);
      context.fillText(name, x + seen[0] * length * far, y + seen[1] * length * far);
    }
    context.textAlign = 'left';
  }
}
