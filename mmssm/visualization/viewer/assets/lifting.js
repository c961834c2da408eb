/* The page of lifted people. */

/** A person's arrays and where to look a frame up in them. */
class Person {
  constructor(packed, count, joints) {
    Object.assign(this, packed);
    this.joints = joints;
    this.frames = unpack(packed.frames);
    this.rows = rowsOf(this.frames, count);
    for (const name of ['keypoints', 'scores', 'joints_3d', 'filled', 'filled_joints']) {
      this[name] = packed[name] && unpack(packed[name]);
    }
    this.root = packed.root && unpack(packed.root);
    this.error = packed.error && unpack(packed.error);
    this.other = packed.other && new Person(packed.other, count, joints);
    this.runs = runsOf(this.frames, this.filled);
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

  /** Where the root stands in the picture of the scene, or null if unknown. */
  place(row, placed) {
    if (!placed) return this.offset;
    const root = this.root.subarray(3 * row, 3 * row + 3);
    return root.every(Number.isFinite) ? root : null;
  }
}

function liftingPage(data) {
  const people = data.people.map((one) => new Person(one, data.count, data.joints.length));
  const state = { person: 0, joint: -1, placed: data.placed, other: 'over', seen: [] };
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
  const player = new Player(data.count, data.fps, pictures, redraw);
  const limits = () => (state.placed ? data.limits_placed : data.limits);
  const space = new Space(element('solid'), limits(), redraw);
  const values = data.error && unpack(data.error);
  const error = values && { values, label: data.error_label };
  const timeline = new Timeline(element('timeline'), data.count, people, error, player);
  const columns = ['x (px)', 'y (px)', 'score', 'x (m)', 'y (m)', 'z (m)', 'filled'];
  if (data.error) columns.push('error (mm)');
  const pick = (person, joint) => {
    Object.assign(state, { person, joint });
    redraw();
  };
  const table = new Table(columns, data.joints, (joint) => pick(state.person, joint));
  const pressChip = addChips(people, (number) => pick(number, state.joint));
  writeTexts(data);
  element('flat-title').textContent = pictures.some ? '2D joints over the video' : '2D joints';
  element('solid-title').textContent = data.solid_title;
  addChoices();
  connect(data, player, space, redraw);
  for (const id of ['flat', 'solid']) {
    element(id).addEventListener('click', (event) => {
      const hit = nearest(state.seen[id], event.offsetX, event.offsetY);
      if (hit) pick(hit.person, hit.joint);
    });
  }
  redraw();

  function addChoices() {
    if (data.limits_placed) {
      const places = [
        ['yes', 'in the scene'],
        ['no', 'side by side'],
      ];
      addChoice('Place', places, (value) => {
        state.placed = value === 'yes';
        space.frame(limits());
        redraw();
      });
    }
    if (data.compared) {
      const shown = [
        ['over', 'over it'],
        ['beside', 'beside it'],
        ['hidden', 'hidden'],
      ];
      addChoice('Other', shown, (value) => {
        state.other = value;
        redraw();
      });
    }
  }

  function inkOf(person, link) {
    if (people.length < 2) return shade(data.link_colors[link]);
    // one colour a person, in which the left side is the lighter one
    const share = (data.link_left[link] ? 0.45 : 0) + (isDark() ? 0.3 : 0);
    return lighter(person.color, share);
  }

  function draw() {
    state.seen = { flat: [], solid: [] };
    drawFlat();
    drawSolid();
    timeline.draw();
    writeClock(data, player);
    writeReadout();
    pressChip(state.person);
  }

  function drawFlat() {
    const { context, width, height } = prepare(element('flat'));
    const place = fit(data.image_size, width, height, pictures.some ? 0 : 10);
    const picture = pictures.get(player.frame);
    if (picture) {
      const size = data.image_size.map((edge) => edge * place.scale);
      context.drawImage(picture, place.x, place.y, ...size);
    } else drawPlane(context, data.image_size, place);
    element('flat-note').textContent = pictures.note(player.frame, data.stride);
    people.forEach((person, number) => {
      const row = person.row(player.frame);
      if (row < 0) return;
      const points = data.joints.map((_, joint) => {
        const [x, y] = person.pixel(row, joint);
        return [place.x + (x + 0.5) * place.scale, place.y + (y + 0.5) * place.scale, 1];
      });
      drawFigure(context, points, person, row, number, 'flat');
    });
  }

  function drawSolid() {
    const { context, width, height } = prepare(element('solid'));
    space.begin(width, height);
    space.drawGround(context, width, height);
    const figures = [];
    people.forEach((person, number) => {
      figures.push(figureOf(person, number, null));
      if (person.other && state.other !== 'hidden') {
        figures.push(figureOf(person.other, number, person));
      }
    });
    const there = figures.filter(Boolean);
    there.sort((a, b) => b.away - a.away);
    for (const figure of there) drawShadow(context, figure);
    for (const figure of there.filter((one) => one.owner)) drawOther(context, figure);
    for (const figure of there.filter((one) => !one.owner)) {
      const { points, person, row, number } = figure;
      drawFigure(context, points, person, row, number, 'solid');
    }
  }

  /** A person's joints in the scene and on the screen; the owner's truth or other. */
  function figureOf(person, number, owner) {
    const row = person.row(player.frame);
    if (row < 0) return null;
    const base = owner || person;
    const baseRow = base.row(player.frame);
    // compared with its owner at the same place, which is what the error measures
    const place = baseRow < 0 && state.placed ? null : base.place(baseRow, state.placed);
    if (!place) return null;
    const beside = owner && state.other === 'beside' ? data.spacing : 0;
    const scene = data.joints.map((_, joint) => {
      const [x, y, z] = person.point(row, joint);
      return [x + place[0] + beside, y + place[1], z + place[2]];
    });
    const points = scene.map((point) => (known(point) && space.project(...point)) || [NaN, NaN, 0]);
    const scales = points.map((point) => point[2]).filter((scale) => scale > 0);
    const away = scales.length ? 1 / Math.max(...scales) : Infinity;
    return { person, row, number, owner, scene, points, away };
  }

  function drawShadow(context, { scene }) {
    const { ground } = space.limits;
    context.strokeStyle = color('--shadow');
    context.lineCap = 'round';
    context.lineJoin = 'round';
    context.beginPath();
    for (const [a, b] of data.links) {
      if (!known(scene[a]) || !known(scene[b])) continue;
      const from = space.project(scene[a][0], ground, scene[a][2]);
      const to = space.project(scene[b][0], ground, scene[b][2]);
      if (!from || !to) continue;
      context.lineWidth = Math.max(1.5, 0.025 * data.size * from[2]);
      context.moveTo(from[0], from[1]);
      context.lineTo(to[0], to[1]);
    }
    // one stroke: limbs that cross must not be darker there
    context.stroke();
  }

  function drawOther(context, { points }) {
    context.strokeStyle = color('--other');
    context.globalAlpha = 0.6;
    context.lineCap = 'round';
    for (const [a, b] of data.links) {
      if (!known(points[a]) || !known(points[b])) continue;
      context.lineWidth = Math.max(4, 0.03 * data.size * points[a][2]);
      context.beginPath();
      context.moveTo(points[a][0], points[a][1]);
      context.lineTo(points[b][0], points[b][1]);
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  /** Bones from far to near, each with an edge that parts it from those behind. */
  function drawFigure(context, points, person, row, number, panel) {
    const solid = panel === 'solid';
    const width = (point) => (solid ? Math.max(2, 0.018 * data.size * point[2]) : 3);
    const links = data.links
      .map(([a, b], link) => ({ a: points[a], b: points[b], link }))
      .filter(({ a, b }) => known(a) && known(b))
      .sort((one, two) => one.a[2] + one.b[2] - two.a[2] - two.b[2]);
    context.lineCap = 'round';
    context.globalAlpha = person.filled[row] ? 0.5 : 1;
    const stroke = ({ a, b }, ink, thick) => {
      context.strokeStyle = ink;
      context.lineWidth = thick;
      context.beginPath();
      context.moveTo(a[0], a[1]);
      context.lineTo(b[0], b[1]);
      context.stroke();
    };
    for (const bone of links) {
      const thick = width(bone.a);
      stroke(bone, solid ? color('--panel') : 'rgba(0, 0, 0, 0.45)', thick + 2);
      stroke(bone, inkOf(person, bone.link), thick);
    }
    points.forEach((point, joint) => {
      if (!known(point)) return;
      const filled = person.filled_joints[row * person.joints + joint];
      const picked = number === state.person && joint === state.joint;
      context.beginPath();
      context.arc(point[0], point[1], 0.55 * width(point) + (picked ? 4 : 1), 0, 2 * Math.PI);
      context.fillStyle = filled ? color('--panel') : color('--text');
      if (!solid) context.fillStyle = filled ? '#000000' : '#ffffff';
      context.fill();
      if (filled || picked || !solid) {
        context.strokeStyle = picked ? color('--accent') : shade(person.color);
        context.lineWidth = picked ? 3 : 1.5;
        context.stroke();
      }
      state.seen[panel].push({ person: number, joint, x: point[0], y: point[1] });
    });
    context.globalAlpha = 1;
    if (people.length > 1 || state.joint >= 0) label(context, points, person, number, solid);
  }

  /** The person's name over the head, and the name of the joint that is picked. */
  function label(context, points, person, number, solid) {
    context.font = '600 12px system-ui, sans-serif';
    const write = (name, x, y) => {
      context.lineWidth = 3;
      context.lineJoin = 'round';
      context.strokeStyle = solid ? color('--panel') : 'rgba(0, 0, 0, 0.7)';
      context.fillStyle = solid ? shade(person.color) : '#ffffff';
      context.strokeText(name, x, y);
      context.fillText(name, x, y);
    };
    const there = points.filter(known);
    if (people.length > 1 && there.length) {
      const top = there.reduce((a, b) => (b[1] < a[1] ? b : a));
      context.textAlign = 'center';
      write(person.name, top[0], top[1] - 16);
      context.textAlign = 'left';
    }
    const picked = number === state.person && points[state.joint];
    if (picked && known(picked)) {
      write(data.joints[state.joint].replaceAll('_', ' '), picked[0] + 10, picked[1]);
    }
  }

  function writeReadout() {
    const person = people[state.person];
    const row = person ? person.row(player.frame) : -1;
    if (row < 0) {
      table.fill(null, state.joint);
      return;
    }
    const other = person.other ? person.other.row(player.frame) : -1;
    const lines = data.joints.map((_, joint) => {
      const pixel = person.pixel(row, joint);
      const point = person.point(row, joint);
      const filled = person.filled[row] || person.filled_joints[row * person.joints + joint];
      const line = [
        ...pixel.map((value) => text(value, 1)),
        text(person.scores[row * person.joints + joint], 2),
        ...point.map((value) => text(value, 3)),
        filled ? (person.filled[row] ? 'frame' : 'joint') : '',
      ];
      if (data.error) line.push(other < 0 ? '–' : text(distance(person, row, other, joint), 1));
      return line;
    });
    table.fill(lines, state.joint);
  }

  /** Millimetres between a joint and the other's, both from their roots. */
  function distance(person, row, other, joint) {
    const here = person.point(row, joint);
    const there = person.other.point(other, joint);
    const root = [person.point(row, data.root), person.other.point(other, data.root)];
    const gap = here.map((v, i) => v - root[0][i] - (there[i] - root[1][i]));
    return 1000 * Math.hypot(...gap);
  }
}

start(liftingPage);
