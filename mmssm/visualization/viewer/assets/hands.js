/* The page of hand meshes. */

const NUM_JOINTS = 21;

/** All hands of a result; those of a frame are rows next to one another. */
class Hands {
  constructor(packed, numVertices) {
    this.numVertices = numVertices;
    for (const name of Object.keys(packed)) this[name] = unpack(packed[name]);
  }

  /** Rows of the hands of a frame. */
  rows(frame) {
    const rows = [];
    for (let row = this.starts[frame]; row < this.starts[frame + 1]; row++) rows.push(row);
    return rows;
  }

  /** Row of a column's hand in a frame, or -1. */
  find(frame, column) {
    return this.rows(frame).find((row) => this.columns[row] === column) ?? -1;
  }

  isLeft(row) {
    return this.left[row] > 0;
  }

  mesh(row) {
    const size = 3 * this.numVertices;
    return this.vertices.subarray(row * size, (row + 1) * size);
  }

  pixel(row, joint) {
    const at = 2 * (row * NUM_JOINTS + joint);
    return [this.keypoints[at], this.keypoints[at + 1]];
  }

  /** A joint, seen from the wrist, metres. */
  point(row, joint) {
    const from = 3 * row * NUM_JOINTS;
    const at = from + 3 * joint;
    return [0, 1, 2].map((i) => this.joints_3d[at + i] - this.joints_3d[from + i]);
  }

  wrist(row) {
    const at = 3 * row * NUM_JOINTS;
    return [this.joints_3d[at], this.joints_3d[at + 1], this.joints_3d[at + 2]];
  }
}

function handPage(data) {
  const hands = new Hands(data.hands, data.num_vertices);
  const other = data.other && new Hands(data.other, data.num_vertices);
  const faces = unpack(data.faces);
  const state = { column: 0, joint: -1, show: 'both', other: 'beside', seen: [] };
  const layers = { flat: new MeshLayer(), solid: new MeshLayer() };
  let scheduled = false;
  const redraw = () => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      draw();
    });
  };
  const pictures = new Pictures(data.pictures, redraw);
  const sizes = data.pictures && unpack(data.pictures.sizes);
  const player = new Player(data.count, data.fps, pictures, redraw);
  const space = new Space(element('solid'), data.limits, redraw);
  const values = data.error && unpack(data.error);
  const error = values && { values, label: data.error_label };
  const lanes = data.columns.map(({ color: ink }, column) => ({
    color: ink,
    runs: runsOf(framesOf(column), null),
  }));
  const timeline = new Timeline(element('timeline'), data.count, lanes, error, player);
  const titles = ['x (px)', 'y (px)', 'x (m)', 'y (m)', 'z (m)'];
  if (error) titles.push('error (mm)');
  const pick = (column, joint) => {
    Object.assign(state, { column, joint });
    redraw();
  };
  const table = new Table(titles, data.joints, (joint) => pick(state.column, joint));
  const pressChip = addChips(data.columns, (column) => pick(column, state.joint));
  writeTexts(data);
  element('flat-title').textContent = pictures.some ? 'Over the image' : 'In the image';
  element('solid-title').textContent = '3D, metres from the wrist';
  addChoice('Show', [['both', 'mesh and joints'], ['mesh', 'mesh'], ['joints', 'joints']], (value) => {
    state.show = value;
    redraw();
  });
  if (other) {
    addChoice('Other', [['beside', 'beside it'], ['over', 'over it'], ['hidden', 'hidden']], (value) => {
      state.other = value;
      redraw();
    });
  }
  connect(data, player, space, redraw);
  for (const id of ['flat', 'solid']) {
    element(id).addEventListener('click', (event) => {
      const hit = nearest(state.seen[id], event.offsetX, event.offsetY);
      if (hit) pick(hit.person, hit.joint);
    });
  }
  redraw();

  function framesOf(column) {
    const frames = [];
    for (let frame = 0; frame < data.count; frame++) {
      if (hands.find(frame, column) >= 0) frames.push(frame);
    }
    return frames;
  }

  function draw() {
    state.seen = { flat: [], solid: [] };
    drawFlat();
    drawSolid();
    timeline.draw();
    writeClock(data, player);
    writeReadout();
    pressChip(state.column);
  }

  function ink(column) {
    const hex = data.columns[column].color;
    const part = (at) => parseInt(hex.slice(at, at + 2), 16);
    return [1, 3, 5].map((at) => Math.round(part(at) + (255 - part(at)) * 0.42));
  }

  function sizeNow() {
    const number = pictures.at(player.frame);
    if (!sizes || number < 0) return data.image_size;
    return [sizes[2 * number], sizes[2 * number + 1]];
  }

  function drawFlat() {
    const { context, width, height } = prepare(element('flat'));
    const size = sizeNow();
    const place = fit(size, width, height, pictures.some ? 0 : 10);
    const picture = pictures.get(player.frame);
    if (picture) {
      context.drawImage(picture, place.x, place.y, size[0] * place.scale, size[1] * place.scale);
    } else drawPlane(context, size, place);
    element('flat-note').textContent = pictures.note(player.frame, data.stride);
    const rows = hands.rows(player.frame);
    if (state.show !== 'joints') {
      layers.flat.begin(width, height);
      for (const row of rows) drawSeen(layers.flat, row, place);
      layers.flat.end(context, width, height, 0.85);
    }
    for (const row of rows) {
      const points = data.joints.map((_, joint) => {
        const [x, y] = hands.pixel(row, joint);
        return [place.x + (x + 0.5) * place.scale, place.y + (y + 0.5) * place.scale];
      });
      drawJoints(context, points, hands.columns[row], 'flat');
    }
  }

  /** A mesh as the image's own camera sees it. */
  function drawSeen(layer, row, place) {
    const mesh = hands.mesh(row);
    const normals = normalsOf(mesh, faces);
    const sign = hands.isLeft(row) ? -1 : 1;
    const points = new Float32Array(mesh.length);
    const shades = new Float32Array(mesh.length / 3);
    const [tx, ty, tz] = hands.translation.subarray(3 * row, 3 * row + 3);
    const [fx, fy] = hands.focal.subarray(2 * row, 2 * row + 2);
    const [cx, cy] = hands.principal.subarray(2 * row, 2 * row + 2);
    for (let v = 0, at = 0; at < mesh.length; v++, at += 3) {
      const depth = mesh[at + 2] + tz;
      if (!(depth > 1e-3)) continue;
      const x = (fx * (mesh[at] + tx)) / depth + cx;
      const y = (fy * (mesh[at + 1] + ty)) / depth + cy;
      points[at] = place.x + (x + 0.5) * place.scale;
      points[at + 1] = place.y + (y + 0.5) * place.scale;
      points[at + 2] = 1 / depth;
      shades[v] = brightness(...[0, 1, 2].map((i) => sign * normals[at + i]));
    }
    layer.draw(points, shades, faces, ink(hands.columns[row]), hands.isLeft(row));
  }

  function drawSolid() {
    const { context, width, height } = prepare(element('solid'));
    space.begin(width, height);
    space.drawGround(context, width, height);
    const rows = hands.rows(player.frame);
    const figures = rows.map((row) => ({ of: hands, row, column: hands.columns[row], grey: false }));
    if (other && state.other !== 'hidden') {
      for (const row of other.rows(player.frame)) {
        figures.push({ of: other, row, column: other.columns[row], grey: true });
      }
    }
    if (state.show !== 'joints') {
      layers.solid.begin(width, height);
      for (const figure of figures) drawTurned(layers.solid, figure);
      layers.solid.end(context, width, height, state.show === 'both' ? 0.9 : 1);
    }
    for (const { of, row, column, grey } of figures) {
      if (grey) continue;
      const offset = offsetOf(column, grey);
      const points = data.joints.map((_, joint) => {
        const point = of.point(row, joint).map((value, i) => value + offset[i]);
        return space.project(...point) || [NaN, NaN];
      });
      drawJoints(context, points, column, 'solid');
    }
  }

  function offsetOf(column, grey) {
    const [x, y, z] = data.columns[column].offset;
    if (!other || state.other !== 'beside') return [x, y, z];
    return [x + (grey ? 0.5 : -0.5) * data.spacing, y, z];
  }

  function drawTurned(layer, { of, row, column, grey }) {
    const mesh = of.mesh(row);
    const normals = normalsOf(mesh, faces);
    const sign = of.isLeft(row) ? -1 : 1;
    const wrist = of.wrist(row);
    const offset = offsetOf(column, grey);
    const points = new Float32Array(mesh.length);
    const shades = new Float32Array(mesh.length / 3);
    for (let v = 0, at = 0; at < mesh.length; v++, at += 3) {
      const place = [0, 1, 2].map((i) => mesh[at + i] - wrist[i] + offset[i]);
      const seen = space.project(...place);
      if (!seen) continue;
      points.set(seen, at); // its third number, pixels per metre, is 1 / depth
      const normal = space.turned(normals[at], normals[at + 1], normals[at + 2]);
      shades[v] = brightness(...normal.map((value) => sign * value));
    }
    layer.draw(points, shades, faces, grey ? [165, 170, 178] : ink(column), of.isLeft(row));
  }

  function drawJoints(context, points, column, panel) {
    const shown = state.show !== 'mesh';
    context.lineCap = 'round';
    for (const [link, [a, b]] of shown ? data.links.entries() : []) {
      if (!known(points[a]) || !known(points[b])) continue;
      for (const [stroke, thick] of [
        ['rgba(0, 0, 0, 0.5)', 4],
        [lighter(data.link_colors[link], 0.2), 2.2],
      ]) {
        context.strokeStyle = stroke;
        context.lineWidth = thick;
        context.beginPath();
        context.moveTo(points[a][0], points[a][1]);
        context.lineTo(points[b][0], points[b][1]);
        context.stroke();
      }
    }
    points.forEach((point, joint) => {
      if (!known(point)) return;
      state.seen[panel].push({ person: column, joint, x: point[0], y: point[1] });
      const picked = column === state.column && joint === state.joint;
      if (!shown && !picked) return;
      context.beginPath();
      context.arc(point[0], point[1], picked ? 6 : 2.6, 0, 2 * Math.PI);
      context.fillStyle = '#ffffff';
      context.strokeStyle = picked ? color('--accent') : '#202124';
      context.lineWidth = picked ? 3 : 1;
      context.fill();
      context.stroke();
      if (picked) writeName(context, data.joints[joint], point);
    });
  }

  function writeName(context, name, [x, y]) {
    context.font = '600 12px system-ui, sans-serif';
    context.lineWidth = 3;
    context.lineJoin = 'round';
    context.strokeStyle = 'rgba(0, 0, 0, 0.75)';
    context.fillStyle = '#ffffff';
    context.strokeText(name.replaceAll('_', ' '), x + 10, y);
    context.fillText(name.replaceAll('_', ' '), x + 10, y);
  }

  function writeReadout() {
    const row = hands.find(player.frame, state.column);
    if (row < 0) {
      table.fill(null, state.joint);
      return;
    }
    const match = other ? other.find(player.frame, state.column) : -1;
    const lines = data.joints.map((_, joint) => {
      const point = hands.point(row, joint);
      const line = [
        ...hands.pixel(row, joint).map((value) => text(value, 1)),
        ...point.map((value) => text(value, 4)),
      ];
      if (error) {
        const there = match < 0 ? [NaN, NaN, NaN] : other.point(match, joint);
        line.push(text(1000 * Math.hypot(...point.map((v, i) => v - there[i])), 1));
      }
      return line;
    });
    table.fill(lines, state.joint);
  }
}

start(handPage);
