/* Packed arrays, texts, colours and canvases. */

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

/** A function that has a picture drawn once, however often it is called before. */
function onceAFrame(draw) {
  let scheduled = false;
  return () => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      draw();
    });
  };
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

/** The least of 1, 2, 5, 10, 20, … times the unit that is not below a number. */
function niceStep(number, unit) {
  const power = 10 ** Math.floor(Math.log10(Math.max(number / unit, 1)));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= number / unit - 1e-9);
  return step * power * unit;
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
    if (x + 0.4 * step < width) context.fillText(`${x}${x ? '' : ' px'}`, at + 3, place.y + 3);
  }
  for (let y = step; y <= height; y += step) {
    const at = place.y + y * place.scale;
    context.moveTo(place.x, at);
    context.lineTo(place.x + width * place.scale, at);
    if (y + 0.4 * step < height) context.fillText(String(y), place.x + 3, at + 3);
  }
  context.stroke();
}

function strokeLine(context, a, b) {
  context.beginPath();
  context.moveTo(a[0], a[1]);
  context.lineTo(b[0], b[1]);
  context.stroke();
}

/** Text with an edge that parts it from what is behind. */
function writeOver(context, words, x, y, ink, edge) {
  context.font = '600 12px system-ui, sans-serif';
  context.lineWidth = 3;
  context.lineJoin = 'round';
  context.strokeStyle = edge;
  context.fillStyle = ink;
  context.strokeText(words, x, y);
  context.fillText(words, x, y);
}
