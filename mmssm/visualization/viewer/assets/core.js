/* What both pages share: packed arrays, pictures, the clock, controls, the timeline. */

const ARRAYS = {
  float32: Float32Array,
  int32: Int32Array,
  int16: Int16Array,
  uint8: Uint8Array,
};
const MISSING = -32768;
const element = (id) => document.getElementById(id);

const known = (point) => point.every(Number.isFinite);

/** Bytes of a base64 text. */
function bytesOf(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

/** Numbers of a packed array, flat; with a scale, integers become NaN and floats. */
function unpack(packed) {
  const numbers = new ARRAYS[packed.dtype](bytesOf(packed.data).buffer);
  if (packed.scale === undefined) return numbers;
  return Float32Array.from(numbers, (n) => (n === MISSING ? NaN : n * packed.scale));
}

/** For every frame of the video, the row of a track that holds it, or -1. */
function rowsOf(frames, count) {
  const rows = new Int32Array(count).fill(-1);
  frames.forEach((frame, row) => {
    if (frame >= 0 && frame < count) rows[frame] = row;
  });
  return rows;
}

/** A number for people; an en dash where there is none. */
function text(number, digits) {
  if (!Number.isFinite(number)) return '–';
  // -0.000 is a rounding of something small, and reads as a mistake
  return number.toFixed(digits).replace(/^-(0\.?0*)$/, '$1').replace('-', '−');
}

function isDark() {
  return document.documentElement.dataset.theme === 'dark';
}

const inks = new Map();

/** A colour of the page's style; asked for once, for a picture needs hundreds. */
function color(name) {
  const key = `${name} ${isDark()}`;
  if (!inks.has(key)) {
    const style = getComputedStyle(document.documentElement);
    inks.set(key, style.getPropertyValue(name).trim());
  }
  return inks.get(key);
}

/** A colour mixed with white: a share of 0 leaves it as it is. */
function lighter(hex, share) {
  const part = (at) => parseInt(hex.slice(at, at + 2), 16);
  const mixed = [1, 3, 5].map((at) => Math.round(part(at) + (255 - part(at)) * share));
  return `rgb(${mixed.join(', ')})`;
}

/** A colour that stands out from the page's ground, in either theme. */
function shade(hex) {
  return isDark() ? lighter(hex, 0.38) : hex;
}

/** Fits a canvas to its box and to the screen's dots; its context in CSS pixels. */
function prepare(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  const columns = Math.max(1, Math.round(width * ratio));
  const rows = Math.max(1, Math.round(height * ratio));
  if (canvas.width !== columns || canvas.height !== rows) {
    canvas.width = columns;
    canvas.height = rows;
  }
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** The JPEGs of the page. Few are decoded at a time, those around the frame shown. */
class Pictures {
  constructor(meta, redraw) {
    this.frames = meta ? unpack(meta.frames) : new Int32Array(0);
    this.lines = element('pictures').textContent.trim().split('\n');
    element('pictures').remove();
    this.decoded = new Map();
    this.waiting = new Set();
    this.damaged = new Set();
    this.redraw = redraw;
  }

  get some() {
    return this.frames.length > 0;
  }

  /** Number of the latest picture that is not after the frame, or -1. */
  at(frame) {
    let low = 0;
    let high = this.frames.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.frames[middle] <= frame) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Whether nothing is to be waited for before the frame is shown. */
  ready(frame) {
    const number = this.at(frame);
    if (number < 0 || this.decoded.has(number) || this.damaged.has(number)) return true;
    this.load(number);
    return false;
  }

  get(frame) {
    const number = this.at(frame);
    if (number < 0) return null;
    for (let ahead = 0; ahead < 6; ahead++) this.load(number + ahead);
    return this.decoded.get(number) || null;
  }

  /** What the reader should know of the picture of a frame; usually nothing. */
  note(frame, stride) {
    if (!this.some) return '';
    const number = this.at(frame);
    if (number < 0) return 'no picture of this frame';
    if (this.damaged.has(number)) return 'the picture cannot be decoded';
    const shown = this.frames[number];
    return shown === frame ? '' : `picture of frame ${shown * stride}`;
  }

  async load(number) {
    const known = this.decoded.has(number) || this.waiting.has(number);
    if (known || this.damaged.has(number) || number >= this.frames.length) return;
    this.waiting.add(number);
    try {
      const file = new Blob([bytesOf(this.lines[number])], { type: 'image/jpeg' });
      this.decoded.set(number, await createImageBitmap(file));
      this.forget(number);
    } catch (error) {
      this.damaged.add(number);
    }
    this.waiting.delete(number);
    this.redraw();
  }

  /** Drops the pictures decoded first: a map keeps the order of insertion. */
  forget(newest) {
    for (const [number, bitmap] of this.decoded) {
      if (this.decoded.size <= 24) return;
      if (number === newest) continue;
      bitmap.close();
      this.decoded.delete(number);
    }
  }
}

/** The clock. It waits for a picture rather than show joints over an older one. */
class Player {
  constructor(count, fps, pictures, show) {
    Object.assign(this, { count, fps, pictures, show });
    this.frame = 0;
    this.time = 0;
    this.playing = false;
    this.speed = 1;
    this.loop = true;
    this.tick = this.tick.bind(this);
  }

  seek(frame) {
    this.frame = Math.max(0, Math.min(this.count - 1, Math.round(frame)));
    this.time = this.frame;
    this.show();
  }

  step(frames) {
    this.pause();
    this.seek(this.frame + frames);
  }

  play() {
    if (this.playing || this.count < 2) return;
    if (this.frame === this.count - 1) this.seek(0);
    this.playing = true;
    this.last = performance.now();
    requestAnimationFrame(this.tick);
    this.show();
  }

  pause() {
    this.playing = false;
    this.show();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  tick(now) {
    if (!this.playing) return;
    // a tab in the background sleeps; it goes on where it was
    const passed = Math.min(Math.max(now - this.last, 0), 200) / 1000;
    this.last = now;
    const time = this.time + passed * this.speed * this.fps;
    this.advance(time);
    requestAnimationFrame(this.tick);
  }

  advance(time) {
    const ended = time >= this.count;
    if (ended && !this.loop) {
      this.pause();
      this.seek(this.count - 1);
      return;
    }
    const next = ended ? 0 : Math.floor(time);
    if (!this.pictures.ready(next)) return;
    this.time = ended ? 0 : time;
    if (next === this.frame) return;
    this.frame = next;
    this.show();
  }
}

/** Lanes that say when somebody is there, and the curve of an error above them. */
class Timeline {
  static EDGE = 8; // half of the scrubber's thumb, so that both agree on x
  static TITLE = 20; // height of the line of text above the curve

  constructor(canvas, count, lanes, error, player) {
    Object.assign(this, { canvas, count, lanes, player });
    const known = error && error.values.filter(Number.isFinite);
    this.error = error && { ...error, largest: known.reduce((a, b) => Math.max(a, b), 1e-9) };
    this.top = error ? 88 : 4;
    this.lane = Math.max(3, Math.min(8, Math.floor(64 / Math.max(1, lanes.length))));
    canvas.style.height = `${this.top + lanes.length * (this.lane + 2) + 16}px`;
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.point(event);
    });
    canvas.addEventListener('pointermove', (event) => {
      if (event.buttons & 1) this.point(event);
    });
  }

  point(event) {
    const span = this.canvas.clientWidth - 2 * Timeline.EDGE;
    const share = (event.offsetX - Timeline.EDGE) / span;
    this.player.seek(share * (this.count - 1));
  }

  draw() {
    const { context, width } = prepare(this.canvas);
    const span = width - 2 * Timeline.EDGE;
    const x = (frame) => Timeline.EDGE + (span * frame) / Math.max(1, this.count - 1);
    context.drawImage(this.still(x, span), 0, 0, width, this.canvas.clientHeight);
    if (this.error) this.mark(context, x);
    const top = this.error ? Timeline.TITLE : 0;
    const bottom = this.canvas.clientHeight - 16;
    context.fillStyle = color('--accent');
    context.fillRect(x(this.player.frame) - 0.75, top, 1.5, bottom - top);
  }

  /** What does not change with the frame: of a long video this takes a while. */
  still(x, span) {
    const { width, height } = this.canvas;
    const key = `${width} ${height} ${isDark()}`;
    if (this.drawn && this.drawn.key === key) return this.drawn.canvas;
    const canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext('2d');
    const ratio = width / this.canvas.clientWidth;
    context.scale(ratio, ratio);
    this.drawn = { key, canvas };
    if (this.error) this.curve(context, x);
    this.lanes.forEach((lane, number) => {
      const y = this.top + number * (this.lane + 2);
      context.fillStyle = color('--field');
      context.fillRect(x(0), y, span, this.lane);
      for (const [from, to, filled] of lane.runs) {
        context.globalAlpha = filled ? 0.4 : 1;
        context.fillStyle = shade(lane.color);
        const [start, end] = [Math.max(x(0), x(from - 0.5)), Math.min(x(to - 0.5), x(0) + span)];
        context.fillRect(start, y, Math.max(1.5, end - start), this.lane);
      }
      context.globalAlpha = 1;
    });
    this.scale(context, x, this.top + this.lanes.length * (this.lane + 2) + 11);
    return canvas;
  }

  /** Height of an error, pixels from the top. */
  y(value) {
    const [high, low] = [Timeline.TITLE, this.top - 8];
    return low - ((low - high) * value) / (1.08 * this.error.largest);
  }

  curve(context, x) {
    const { values } = this.error;
    const [high, low] = [Timeline.TITLE, this.top - 8];
    context.strokeStyle = color('--line');
    context.strokeRect(x(0), high, x(this.count - 1) - x(0), low - high);
    context.strokeStyle = color('--text');
    context.lineWidth = 1.5;
    context.lineJoin = 'round';
    context.beginPath();
    let pen = false;
    values.forEach((value, frame) => {
      if (!Number.isFinite(value)) pen = false;
      else if (pen) context.lineTo(x(frame), this.y(value));
      else {
        context.moveTo(x(frame), this.y(value));
        context.lineTo(x(frame) + 0.1, this.y(value));
        pen = true;
      }
    });
    context.stroke();
  }

  /** The error of the frame shown. */
  mark(context, x) {
    const { values, label, largest } = this.error;
    const now = values[this.player.frame];
    context.font = '11px system-ui, sans-serif';
    context.fillStyle = color('--faint');
    context.textBaseline = 'top';
    const line = `${label}: ${text(now, 1)} mm, largest ${text(largest, 1)} mm`;
    context.fillText(line, x(0), 4);
    if (!Number.isFinite(now)) return;
    context.fillStyle = color('--accent');
    context.beginPath();
    context.arc(x(this.player.frame), this.y(now), 4, 0, 2 * Math.PI);
    context.fill();
  }

  scale(context, x, y) {
    context.font = '10.5px system-ui, sans-serif';
    context.fillStyle = color('--faint');
    context.textBaseline = 'middle';
    const step = niceStep((this.count - 1) / 8, 1);
    for (let frame = 0; frame < this.count; frame += step) {
      const near = x(this.count - 1) - x(frame) < 24;
      context.textAlign = near ? 'right' : frame ? 'center' : 'left';
      context.fillText(String(frame), x(frame), y);
    }
    context.textAlign = 'left';
  }
}

/** The least of 1, 2, 5, 10, 20, … times the unit that is not below a number. */
function niceStep(number, unit) {
  const power = 10 ** Math.floor(Math.log10(Math.max(number / unit, 1)));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= number / unit - 1e-9);
  return step * power * unit;
}

/** Runs of frames that a track has: [first, one past the last, whether filled]. */
function runsOf(frames, filled) {
  const runs = [];
  frames.forEach((frame, row) => {
    const last = runs[runs.length - 1];
    const mark = Boolean(filled && filled[row]);
    if (last && last[1] === frame && last[2] === mark) last[1] = frame + 1;
    else runs.push([frame, frame + 1, mark]);
  });
  return runs;
}

/** Where an image of a size lies in a panel: scale and offset, centred. */
function fit(size, width, height, margin = 0) {
  const room = [width - 2 * margin, height - 2 * margin];
  const scale = Math.max(1e-6, Math.min(room[0] / size[0], room[1] / size[1]));
  const x = (width - scale * size[0]) / 2;
  return { scale, x, y: (height - scale * size[1]) / 2 };
}

/** An empty image plane with pixel marks, for results without their video. */
function drawPlane(context, size, place) {
  const [width, height] = size;
  context.fillStyle = color('--floor');
  context.fillRect(place.x, place.y, width * place.scale, height * place.scale);
  context.strokeStyle = color('--grid');
  context.fillStyle = color('--faint');
  context.font = '10.5px system-ui, sans-serif';
  context.lineWidth = 1;
  const step = niceStep(Math.max(width, height) / 8, 1);
  context.beginPath();
  context.textBaseline = 'top';
  for (let x = 0; x <= width; x += step) {
    const at = place.x + x * place.scale;
    context.moveTo(at, place.y);
    context.lineTo(at, place.y + height * place.scale);
    context.fillText(`${x}${x ? '' : ' px'}`, at + 3, place.y + 3);
  }
  for (let y = step; y <= height; y += step) {
    const at = place.y + y * place.scale;
    context.moveTo(place.x, at);
    context.lineTo(place.x + width * place.scale, at);
    if (y + 0.4 * step < height) context.fillText(String(y), place.x + 3, at + 3);
  }
  context.stroke();
}

/** A choice among named values, put beside the speed. */
function addChoice(label, choices, change) {
  const select = document.createElement('select');
  select.id = `choice-${label.toLowerCase()}`;
  for (const [value, name] of choices) select.add(new Option(name, value));
  select.addEventListener('change', () => change(select.value));
  const frame = document.createElement('label');
  frame.append(`${label} `, select);
  element('options').append(frame);
}

/** A row of buttons of which one is pressed. */
function addChips(items, choose) {
  const chips = items.map((item, number) => {
    const chip = document.createElement('button');
    chip.type = 'button';
    chip.className = 'chip';
    chip.textContent = item.name;
    chip.addEventListener('click', () => choose(number));
    element('chips').append(chip);
    return chip;
  });
  return (pressed) =>
    chips.forEach((chip, number) => {
      chip.style.setProperty('--chip', shade(items[number].color));
      chip.setAttribute('aria-pressed', String(number === pressed));
    });
}

/** The table of joints; its cells are filled anew for every frame. */
class Table {
  constructor(columns, joints, choose) {
    const head = document.querySelector('#readout thead').insertRow();
    for (const name of ['joint', ...columns]) {
      const cell = document.createElement('th');
      cell.scope = 'col';
      cell.textContent = name;
      head.append(cell);
    }
    const body = document.querySelector('#readout tbody');
    this.rows = joints.map((name, joint) => {
      const row = body.insertRow();
      row.dataset.joint = name;
      const title = document.createElement('th');
      title.scope = 'row';
      title.textContent = name.replaceAll('_', ' ');
      row.append(title);
      row.addEventListener('click', () => choose(joint));
      return { row, cells: columns.map(() => row.insertCell()) };
    });
  }

  /** Writes texts, one list a joint, or the same mark everywhere. */
  fill(lines, picked) {
    this.rows.forEach(({ row, cells }, joint) => {
      row.classList.toggle('picked', joint === picked);
      cells.forEach((cell, column) => {
        const value = lines ? lines[joint][column] : '–';
        if (cell.textContent !== value) cell.textContent = value;
      });
    });
  }
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
}

/** Starts in the reader's own theme. */
function startTheme() {
  const dark = window.matchMedia('(prefers-color-scheme: dark)');
  setTheme(dark.matches ? 'dark' : 'light');
}

/** Joins the buttons, the keyboard and the panels to the clock. */
function connect(data, player, space, redraw) {
  const changeTheme = () => {
    setTheme(isDark() ? 'light' : 'dark');
    redraw();
  };
  const changeSpeed = (by) => {
    const list = element('speed');
    const at = Math.max(0, Math.min(list.options.length - 1, list.selectedIndex + by));
    list.selectedIndex = at;
    player.speed = Number(list.value);
  };
  const click = (id, act) => element(id).addEventListener('click', act);
  click('play', () => player.toggle());
  click('first', () => player.step(-data.count));
  click('last', () => player.step(data.count));
  click('back', () => player.step(-1));
  click('forward', () => player.step(1));
  click('reset', () => space.reset());
  click('theme', changeTheme);
  element('speed').addEventListener('change', () => changeSpeed(0));
  element('loop').addEventListener('change', (event) => {
    player.loop = event.target.checked;
  });
  element('scrub').max = String(data.count - 1);
  element('scrub').addEventListener('input', (event) => {
    player.pause();
    player.seek(Number(event.target.value));
  });
  for (const button of document.querySelectorAll('[data-view]')) {
    button.addEventListener('click', () => space.look(button.dataset.view));
  }
  const keys = {
    ' ': () => player.toggle(),
    ArrowLeft: (event) => player.step(event.shiftKey ? -10 : -1),
    ArrowRight: (event) => player.step(event.shiftKey ? 10 : 1),
    Home: () => player.step(-data.count),
    End: () => player.step(data.count),
    '+': () => changeSpeed(1),
    '=': () => changeSpeed(1),
    '-': () => changeSpeed(-1),
    r: () => space.reset(),
    t: changeTheme,
  };
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.tagName === 'SELECT') return;
    if (event.target === space.canvas && space.key(event)) return;
    // a button that has the focus is pressed by the space bar itself
    if (event.key === ' ' && event.target.tagName === 'BUTTON') return;
    const act = keys[event.key] || keys[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act(event);
  });
  window.addEventListener('resize', redraw);
  new ResizeObserver(redraw).observe(element('stage'));
}

/** Texts around the panels, from the data; never as markup. */
function writeTexts(data) {
  element('subtitle').textContent = data.subtitle;
  for (const note of data.notes) {
    const item = document.createElement('li');
    item.textContent = note;
    element('notes').append(item);
  }
}

/** Shows where the clock stands. */
function writeClock(data, player) {
  const seconds = data.timed ? ` · ${text(player.frame / data.fps, 2)} s` : '';
  const name = data.frame_names ? ` · ${data.frame_names[player.frame]}` : '';
  const number = player.frame * data.stride;
  const clock = `frame ${number} of ${data.total}${seconds}${name}`;
  element('clock').textContent = clock;
  element('scrub').value = String(player.frame);
  element('scrub').setAttribute('aria-valuetext', clock);
  element('play').textContent = player.playing ? 'Pause' : 'Play';
}

/** The joint drawn within reach of a place, or undefined. */
function nearest(seen, x, y) {
  let best;
  let least = 14;
  for (const one of seen || []) {
    const far = Math.hypot(one.x - x, one.y - y);
    if (far < least) [best, least] = [one, far];
  }
  return best;
}

/** Runs a page; what goes wrong is said on it, not only in the console. */
function start(page) {
  try {
    startTheme();
    page(JSON.parse(element('data').textContent));
  } catch (error) {
    element('failure').hidden = false;
    element('failure').textContent = `This page cannot be shown: ${error.message}`;
    throw error;
  }
}
