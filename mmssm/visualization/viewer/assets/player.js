/* Pictures and the clock that shows them. */

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

