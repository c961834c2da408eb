/* The page of hand meshes. */

const NUM_JOINTS = 21;
const GREY = [165, 170, 178]; // red, green, blue of hands to compare with

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

  /** Frames of each column's hands. */
  framesOf(count, columns) {
    const frames = Array.from({ length: columns }, () => []);
    for (let frame = 0; frame < count; frame++) {
      for (const row of this.rows(frame)) frames[this.columns[row]].push(frame);
    }
    return frames;
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

class HandPage extends Page {
  constructor(data) {
    const hands = new Hands(data.hands, data.num_vertices);
    const frames = hands.framesOf(data.count, data.columns.length);
    const tracks = data.columns.map((column, number) => ({
      ...column,
      lane: number,
      runs: runsOf(frames[number], null),
    }));
    super(data, tracks, coordinateColumns(data.origin).flat());
    this.hands = hands;
    this.others = data.other && new Hands(data.other, data.num_vertices);
    this.faces = unpack(data.faces);
    this.sizes = data.pictures && unpack(data.pictures.sizes);
    this.layers = { flat: new MeshLayer(), solid: new MeshLayer() };
    this.offer('show', 'Show', { both: 'mesh and joints', mesh: 'mesh', joints: 'joints' });
    const shown = { beside: 'beside it', over: 'over it', hidden: 'hidden' };
    if (data.other) this.offer('other', 'Other result', shown);
  }

  imageSize() {
    const number = this.pictures.at(this.player.frame);
    if (!this.sizes || number < 0) return this.data.image_size;
    return [this.sizes[2 * number], this.sizes[2 * number + 1]];
  }

  rowOf(hands, column) {
    return hands.find(this.player.frame, column);
  }

  isThere(column) {
    return this.rowOf(this.hands, column) >= 0;
  }

  /** Red, green and blue of a column's meshes, 0 to 255. */
  inkOf(column) {
    const hex = this.data.columns[column].color;
    const part = (at) => parseInt(hex.slice(at, at + 2), 16);
    return [1, 3, 5].map((at) => Math.round(part(at) + (255 - part(at)) * 0.42));
  }

  drawOverImage(context, place, width, height) {
    const { hands } = this;
    const rows = hands.rows(this.player.frame);
    if (this.show !== 'joints') {
      this.layers.flat.begin(width, height);
      for (const row of rows) this.drawSeen(row, place);
      this.layers.flat.end(context, 0.85);
    }
    for (const row of rows) {
      const points = this.data.joints.map((_, joint) => {
        const [x, y] = hands.pixel(row, joint);
        return [place.x + (x + 0.5) * place.scale, place.y + (y + 0.5) * place.scale];
      });
      this.drawJoints(context, points, hands.columns[row], 'flat');
    }
  }

  drawScene(context, width, height) {
    const figures = this.figures();
    if (this.show !== 'joints') {
      this.layers.solid.begin(width, height);
      for (const figure of figures) this.drawTurned(figure);
      this.layers.solid.end(context, this.show === 'both' ? 0.9 : 1);
    }
    for (const { hands, row, column, offset } of figures.filter((one) => !one.grey)) {
      const points = this.data.joints.map((_, joint) => {
        const place = hands.point(row, joint).map((value, axis) => value + offset[axis]);
        return this.space.project(...place) || [NaN, NaN];
      });
      this.drawJoints(context, points, column, 'solid');
    }
  }

  /** The hands in the frame shown, and where they stand in space. */
  figures() {
    const figureOf = (hands, grey) => (row) => {
      const column = hands.columns[row];
      return { hands, row, column, grey, offset: this.offsetOf(column, grey) };
    };
    const { frame } = this.player;
    const ours = this.hands.rows(frame).map(figureOf(this.hands, false));
    if (!this.others || this.other === 'hidden') return ours;
    return [...ours, ...this.others.rows(frame).map(figureOf(this.others, true))];
  }

  /** Where a wrist is drawn, metres. */
  offsetOf(column, grey) {
    const [x, y, z] = this.data.columns[column].offset;
    if (this.other !== 'beside') return [x, y, z];
    return [x + (grey ? 0.5 : -0.5) * this.data.spacing, y, z];
  }

  /** A mesh as the image's own camera sees it. */
  drawSeen(row, place) {
    const { hands } = this;
    const [tx, ty, tz] = hands.translation.subarray(3 * row, 3 * row + 3);
    const [fx, fy] = hands.focal.subarray(2 * row, 2 * row + 2);
    const [cx, cy] = hands.principal.subarray(2 * row, 2 * row + 2);
    const project = (x, y, z) => {
      const depth = z + tz;
      if (!(depth > 1e-3)) return null;
      const pixel = [(fx * (x + tx)) / depth + cx, (fy * (y + ty)) / depth + cy];
      return [
        place.x + (pixel[0] + 0.5) * place.scale,
        place.y + (pixel[1] + 0.5) * place.scale,
        1 / depth,
      ];
    };
    const ink = this.inkOf(hands.columns[row]);
    this.drawMesh(this.layers.flat, { hands, row }, ink, project, (...normal) => normal);
  }

  /** A mesh in the turning view. */
  drawTurned(figure) {
    const { space } = this;
    const wrist = figure.hands.wrist(figure.row);
    const [dx, dy, dz] = figure.offset.map((value, axis) => value - wrist[axis]);
    const project = (x, y, z) => space.project(x + dx, y + dy, z + dz);
    const ink = figure.grey ? GREY : this.inkOf(figure.column);
    this.drawMesh(this.layers.solid, figure, ink, project, (...normal) => space.turned(...normal));
  }

  /**
   * Shades a mesh.
   * project: x, y in CSS pixels and a number in proportion to 1 / depth, or null;
   * turn: a direction as it is seen.
   */
  drawMesh(layer, { hands, row }, ink, project, turn) {
    const mesh = hands.mesh(row);
    const normals = normalsOf(mesh, this.faces);
    const left = hands.isLeft(row);
    const sign = left ? -1 : 1; // its faces are those of a right hand, inside out
    const points = new Float32Array(mesh.length);
    const shades = new Float32Array(mesh.length / 3);
    for (let v = 0, at = 0; at < mesh.length; v++, at += 3) {
      const seen = project(mesh[at], mesh[at + 1], mesh[at + 2]);
      if (!seen) continue;
      points.set(seen, at);
      const [x, y, z] = turn(normals[at], normals[at + 1], normals[at + 2]);
      shades[v] = brightness(sign * x, sign * y, sign * z);
    }
    layer.draw(points, shades, this.faces, ink, left);
  }

  drawJoints(context, points, column, panel) {
    if (this.show !== 'mesh') this.drawBones(context, points);
    points.forEach((point, joint) => {
      if (!known(point)) return;
      const [x, y] = point;
      this.seen[panel].push({ track: column, joint, x, y });
      const picked = this.isPicked(column, joint);
      if (this.show === 'mesh' && !picked) return;
      context.beginPath();
      context.arc(x, y, picked ? 6 : 2.6, 0, 2 * Math.PI);
      context.fillStyle = '#ffffff';
      context.strokeStyle = picked ? color('--accent') : '#202124';
      context.lineWidth = picked ? 3 : 1;
      context.fill();
      context.stroke();
      if (!picked) return;
      const name = this.data.joints[joint].replaceAll('_', ' ');
      writeOver(context, name, x + 10, y, '#ffffff', 'rgba(0, 0, 0, 0.75)');
    });
  }

  drawBones(context, points) {
    context.lineCap = 'round';
    this.data.links.forEach(([a, b], link) => {
      if (!known(points[a]) || !known(points[b])) return;
      context.strokeStyle = 'rgba(0, 0, 0, 0.5)';
      context.lineWidth = 4;
      strokeLine(context, points[a], points[b]);
      context.strokeStyle = lighter(this.data.link_colors[link], 0.2);
      context.lineWidth = 2.2;
      strokeLine(context, points[a], points[b]);
    });
  }

  /** Texts of the table, one list a joint. */
  numbers(column) {
    const row = this.rowOf(this.hands, column);
    return this.data.joints.map((_, joint) => [
      ...this.hands.pixel(row, joint).map((value) => text(value, 1)),
      ...this.hands.point(row, joint).map((value) => text(value, 4)),
    ]);
  }

  /** Millimetres between each joint and the other's, both from their wrists. */
  errors(column) {
    const row = this.rowOf(this.others, column);
    return this.data.joints.map((_, joint) => {
      if (row < 0) return NaN;
      const theirs = this.others.point(row, joint);
      const ours = this.hands.point(this.rowOf(this.hands, column), joint);
      return 1000 * Math.hypot(...ours.map((value, axis) => value - theirs[axis]));
    });
  }
}

start(HandPage);
