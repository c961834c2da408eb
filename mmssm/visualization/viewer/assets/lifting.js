/* The page of lifted people. */

/** A person's arrays and where to look a frame up in them. */
class Person {
  constructor(packed, count, joints) {
    Object.assign(this, packed);
    this.joints = joints;
    for (const name of ['keypoints', 'scores', 'joints_3d', 'root', 'filled', 'filled_joints']) {
      this[name] = packed[name] && unpack(packed[name]);
    }
    // one whom only the other result has may stay longer than the video
    const frames = unpack(packed.frames).filter((frame) => frame < count);
    this.rows = rowsOf(frames, count);
    this.runs = runsOf(frames, this.filled);
    this.other = packed.other && new Person({ ...packed.other, grey: true }, count, joints);
  }

  row(frame) {
    return this.rows[frame];
  }

  pixel(row, joint) {
    const at = 2 * (row * this.joints + joint);
    return [this.keypoints[at], this.keypoints[at + 1]];
  }

  point(row, joint) {
    const at = 3 * (row * this.joints + joint);
    return [this.joints_3d[at], this.joints_3d[at + 1], this.joints_3d[at + 2]];
  }

  isFilled(row, joint) {
    return this.filled_joints[row * this.joints + joint] > 0;
  }

  /** Where the root was estimated to be, or null if that is not known. */
  rootAt(row) {
    const root = this.root && this.root.subarray(3 * row, 3 * row + 3);
    return root && root.every(Number.isFinite) ? root : null;
  }
}

class LiftingPage extends Page {
  constructor(data) {
    const people = data.people.map((one) => new Person(one, data.count, data.joints.length));
    const [pixels, metres] = coordinateColumns(data.origin);
    const score = ['score', 'confidence of the 2D joint, 0 to 1'];
    const filled = ['filled', 'interpolated: this joint, or all of the frame'];
    super(data, people, [...pixels, score, ...metres, filled]);
    if (data.limits_placed) {
      this.offer('place', 'Place', { scene: 'in the scene', row: 'side by side' });
    }
    const shown = { over: 'over it', beside: 'beside it', hidden: 'hidden' };
    if (data.error) this.offer('other', 'Other result', shown);
  }

  limits() {
    return this.place === 'scene' ? this.data.limits_placed : this.data.limits;
  }

  imageSize() {
    return this.data.image_size;
  }

  rowOf(person) {
    return person.row(this.player.frame);
  }

  isThere(track) {
    return this.rowOf(this.tracks[track]) >= 0;
  }

  /** Whether a person is in the frame shown, and to be drawn. */
  isDrawn(person) {
    return this.rowOf(person) >= 0 && !(person.grey && this.other === 'hidden');
  }

  inkOf(person, link) {
    if (person.grey) return shade(person.color);
    if (this.tracks.length < 2) return shade(this.data.link_colors[link]);
    // one colour a person, in which the left side is the lighter one
    const share = (this.data.link_left[link] ? 0.45 : 0) + (isDark() ? 0.3 : 0);
    return lighter(person.color, share);
  }

  drawOverImage(context, place) {
    this.tracks.forEach((person, number) => {
      if (!this.isDrawn(person)) return;
      const row = this.rowOf(person);
      const points = this.data.joints.map((_, joint) => {
        const [x, y] = person.pixel(row, joint);
        return [place.x + (x + 0.5) * place.scale, place.y + (y + 0.5) * place.scale, 1];
      });
      this.drawFigure(context, { points, person, row, number }, 'flat');
    });
  }

  drawScene(context) {
    const both = this.tracks.flatMap((person, number) => [
      this.figureOf(person, number, person),
      person.other && this.figureOf(person.other, number, person),
    ]);
    const figures = both.filter(Boolean).sort((a, b) => b.away - a.away);
    for (const figure of figures) this.drawShadow(context, figure);
    for (const figure of figures.filter((one) => one.ghost)) this.drawGhost(context, figure);
    for (const figure of figures.filter((one) => !one.ghost)) {
      this.drawFigure(context, figure, 'solid');
    }
  }

  /** A person's joints in the scene and on the screen; null if not to be seen. */
  figureOf(person, number, owner) {
    const place = this.isDrawn(person) && this.placeOf(person, owner);
    if (!place) return null;
    const row = this.rowOf(person);
    const scene = this.data.joints.map((_, joint) => {
      return person.point(row, joint).map((value, axis) => value + place[axis]);
    });
    const points = scene.map((p) => (known(p) && this.space.project(...p)) || [NaN, NaN, 0]);
    const nearest = Math.max(...points.map((point) => point[2]));
    const away = nearest > 0 ? 1 / nearest : Infinity;
    return { person, row, number, ghost: person !== owner, scene, points, away };
  }

  /** Where a person's root is drawn, metres; null if that is not known. */
  placeOf(person, owner) {
    // with the one it is compared with, at one place: that is what the error measures
    const base = this.rowOf(owner) < 0 ? person : owner;
    const place = this.place === 'scene' ? base.rootAt(this.rowOf(base)) : owner.offset;
    if (!place || !owner.other || this.other !== 'beside') return place;
    const side = person === owner ? -0.5 : 0.5;
    return [place[0] + side * this.data.spacing, place[1], place[2]];
  }

  drawShadow(context, { scene }) {
    const { ground } = this.space.limits;
    context.strokeStyle = color('--shadow');
    context.lineCap = 'round';
    context.lineJoin = 'round';
    context.beginPath();
    for (const [a, b] of this.data.links) {
      if (!known(scene[a]) || !known(scene[b])) continue;
      const from = this.space.project(scene[a][0], ground, scene[a][2]);
      const to = this.space.project(scene[b][0], ground, scene[b][2]);
      if (!from || !to) continue;
      context.lineWidth = Math.max(1.5, 0.025 * this.data.size * from[2]);
      context.moveTo(from[0], from[1]);
      context.lineTo(to[0], to[1]);
    }
    // one stroke: limbs that cross must not be darker there
    context.stroke();
  }

  /** Whom a person is compared with: broad, grey, without joints. */
  drawGhost(context, { points }) {
    context.strokeStyle = color('--other');
    context.globalAlpha = 0.6;
    context.lineCap = 'round';
    for (const [a, b] of this.data.links) {
      if (!known(points[a]) || !known(points[b])) continue;
      context.lineWidth = Math.max(4, 0.03 * this.data.size * points[a][2]);
      strokeLine(context, points[a], points[b]);
    }
    context.globalAlpha = 1;
  }

  drawFigure(context, figure, panel) {
    const solid = panel === 'solid';
    const width = (point) => (solid ? Math.max(2, 0.018 * this.data.size * point[2]) : 3);
    context.globalAlpha = figure.person.filled[figure.row] ? 0.5 : 1;
    this.drawBones(context, figure, width, solid);
    this.drawJoints(context, figure, width, solid);
    context.globalAlpha = 1;
    this.drawNames(context, figure, solid);
    figure.points.forEach(([x, y], joint) => {
      if (Number.isFinite(x)) this.seen[panel].push({ track: figure.number, joint, x, y });
    });
  }

  /** From far to near, each with an edge that parts it from those behind. */
  drawBones(context, { points, person }, width, solid) {
    const bones = this.data.links
      .map(([a, b], link) => ({ a: points[a], b: points[b], link }))
      .filter(({ a, b }) => known(a) && known(b))
      .sort((one, two) => one.a[2] + one.b[2] - two.a[2] - two.b[2]);
    context.lineCap = 'round';
    for (const { a, b, link } of bones) {
      context.lineWidth = width(a) + 2;
      context.strokeStyle = solid ? color('--panel') : 'rgba(0, 0, 0, 0.45)';
      strokeLine(context, a, b);
      context.lineWidth = width(a);
      context.strokeStyle = this.inkOf(person, link);
      strokeLine(context, a, b);
    }
  }

  /** Dots; hollow ones are interpolated. */
  drawJoints(context, { points, person, row, number }, width, solid) {
    const [full, hollow] = solid ? [color('--text'), color('--panel')] : ['#ffffff', '#000000'];
    points.forEach((point, joint) => {
      if (!known(point)) return;
      const filled = person.isFilled(row, joint);
      const picked = this.isPicked(number, joint);
      context.beginPath();
      context.arc(point[0], point[1], 0.55 * width(point) + (picked ? 4 : 1), 0, 2 * Math.PI);
      context.fillStyle = filled ? hollow : full;
      context.fill();
      if (solid && !filled && !picked) return;
      context.strokeStyle = picked ? color('--accent') : shade(person.color);
      context.lineWidth = picked ? 3 : 1.5;
      context.stroke();
    });
  }

  /** The person's name over the head if there are several, and that of the joint picked. */
  drawNames(context, { points, person, number }, solid) {
    const ink = solid ? shade(person.color) : '#ffffff';
    const edge = solid ? color('--panel') : 'rgba(0, 0, 0, 0.7)';
    const there = points.filter(known);
    if (this.tracks.length > 1 && there.length) {
      const top = there.reduce((a, b) => (b[1] < a[1] ? b : a));
      context.textAlign = 'center';
      writeOver(context, person.name, top[0], top[1] - 16, ink, edge);
      context.textAlign = 'left';
    }
    const { track, joint } = this.picked;
    if (number !== track || joint < 0 || !known(points[joint])) return;
    const [x, y] = points[joint];
    writeOver(context, this.data.joints[joint].replaceAll('_', ' '), x + 10, y, ink, edge);
  }

  /** Texts of the table, one list a joint. */
  numbers(track) {
    const person = this.tracks[track];
    const row = this.rowOf(person);
    const filled = (joint) => (person.isFilled(row, joint) ? 'joint' : '');
    return this.data.joints.map((_, joint) => [
      ...person.pixel(row, joint).map((value) => text(value, 1)),
      text(person.scores[row * person.joints + joint], 2),
      ...person.point(row, joint).map((value) => text(value, 3)),
      person.filled[row] ? 'frame' : filled(joint),
    ]);
  }

  /** Millimetres between each joint and the other's, both from their roots. */
  errors(track) {
    const ours = this.tracks[track];
    const row = ours.other ? this.rowOf(ours.other) : -1;
    if (row < 0) return this.data.joints.map(() => NaN);
    const fromRoot = (person, at, joint) => {
      const root = person.point(at, this.data.root);
      return person.point(at, joint).map((value, axis) => value - root[axis]);
    };
    return this.data.joints.map((_, joint) => {
      const theirs = fromRoot(ours.other, row, joint);
      const gap = fromRoot(ours, this.rowOf(ours), joint).map((value, axis) => value - theirs[axis]);
      return 1000 * Math.hypot(...gap);
    });
  }
}

start(LiftingPage);
