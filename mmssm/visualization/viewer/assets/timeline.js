/* Under the scrubber: who is there when, and how large the error is. */

/** Lanes of the tracks (color, lane, runs), and the curve of an error above them. */
class Timeline {
  static EDGE = 8; // half of the scrubber's thumb, so that both agree on x
  static TITLE = 20; // height of the line of text above the curve

  constructor(canvas, count, tracks, error, player) {
    Object.assign(this, { canvas, count, tracks, player });
    const known = error && error.values.filter(Number.isFinite);
    this.error = error && { ...error, largest: known.reduce((a, b) => Math.max(a, b), 1e-9) };
    this.top = error ? 88 : 4;
    const lanes = tracks.reduce((most, track) => Math.max(most, track.lane + 1), 0);
    this.lanes = lanes;
    this.lane = Math.max(3, Math.min(8, Math.floor(64 / Math.max(1, lanes))));
    canvas.style.height = `${this.top + lanes * (this.lane + 2) + 16}px`;
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
    this.player.pause();
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
    const top = (lane) => this.top + lane * (this.lane + 2);
    context.fillStyle = color('--field');
    for (let lane = 0; lane < this.lanes; lane++) context.fillRect(x(0), top(lane), span, this.lane);
    for (const track of this.tracks) this.bar(context, x, top(track.lane), track);
    this.scale(context, x, top(this.lanes) + 11);
    return canvas;
  }

  /** When a track is there; pale where it is filled. */
  bar(context, x, y, track) {
    const [first, last] = [x(0), x(this.count - 1)];
    context.fillStyle = shade(track.color);
    for (const [from, to, filled] of track.runs) {
      context.globalAlpha = filled ? 0.4 : 1;
      const [start, end] = [Math.max(first, x(from - 0.5)), Math.min(x(to - 0.5), last)];
      context.fillRect(start, y, Math.max(1.5, end - start), this.lane);
    }
    context.globalAlpha = 1;
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

