/* The page around the panels: texts, table, controls and keys. */

/** A button for each track; what it returns marks the one pressed and who is away. */
function addChips(tracks, choose) {
  const chips = tracks.map((track, number) => {
    const chip = document.createElement('button');
    chip.type = 'button';
    chip.className = 'chip';
    chip.textContent = track.name;
    chip.addEventListener('click', () => choose(number));
    element('chips').append(chip);
    return chip;
  });
  return (pressed, isThere) =>
    chips.forEach((chip, number) => {
      chip.style.setProperty('--swatch', shade(tracks[number].color));
      chip.setAttribute('aria-pressed', String(number === pressed));
      chip.classList.toggle('away', !isThere(number));
    });
}

/** The table of joints; its cells are filled anew for every frame. */
class Table {
  constructor(columns, joints, choose) {
    const head = document.querySelector('#readout thead').insertRow();
    for (const [name, hint] of [['joint', 'a click marks it'], ...columns]) {
      const cell = titleCell('col', name);
      cell.title = hint;
      head.append(cell);
    }
    const body = document.querySelector('#readout tbody');
    this.rows = joints.map((name, joint) => {
      const row = body.insertRow();
      row.dataset.joint = name;
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = name.replaceAll('_', ' ');
      row.append(titleCell('row', button));
      row.addEventListener('click', () => choose(joint));
      return { row, button, cells: columns.map(() => row.insertCell()) };
    });
    this.width = columns.length;
  }

  /** A row below all, for one number in the last column. */
  addFoot(name) {
    const row = document.querySelector('#readout tfoot').insertRow();
    const title = titleCell('row', name);
    title.colSpan = this.width;
    row.append(title);
    this.foot = row.insertCell();
  }

  /** Writes texts, one list a joint, or the same mark everywhere. */
  fill(lines, picked, foot) {
    this.rows.forEach(({ row, button, cells }, joint) => {
      row.classList.toggle('picked', joint === picked);
      button.setAttribute('aria-pressed', String(joint === picked));
      cells.forEach((cell, column) => {
        const value = lines ? lines[joint][column] : '–';
        if (cell.textContent !== value) cell.textContent = value;
      });
    });
    if (this.foot) this.foot.textContent = foot;
  }
}

/** Names and hints of the columns of pixels, and of those of metres. */
function coordinateColumns(origin) {
  return [
    [
      ['x (px)', 'to the right in the image'],
      ['y (px)', 'down in the image'],
    ],
    [
      ['x (m)', `to the right of the ${origin}`],
      ['y (m)', `below the ${origin}`],
      ['z (m)', `behind the ${origin}, away from the camera`],
    ],
  ];
}

function titleCell(scope, content) {
  const cell = document.createElement('th');
  cell.scope = scope;
  cell.append(content);
  return cell;
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  element('theme').textContent = theme === 'dark' ? 'Light' : 'Dark';
}

/** Starts in the reader's own theme. */
function startTheme() {
  const dark = window.matchMedia('(prefers-color-scheme: dark)');
  setTheme(dark.matches ? 'dark' : 'light');
}

function changeSpeed(player, by) {
  const list = element('speed');
  const at = Math.max(0, Math.min(list.options.length - 1, list.selectedIndex + by));
  list.selectedIndex = at;
  player.speed = Number(list.value);
}

/** The joint drawn within reach of a place, or undefined. */
function nearest(seen, x, y) {
  let best;
  let least = 14;
  for (const one of seen) {
    const far = Math.hypot(one.x - x, one.y - y);
    if (far < least) [best, least] = [one, far];
  }
  return best;
}

/**
 * What both pages are made of. Those that derive from it draw over the image
 * (drawOverImage) and in space (drawScene), and say the size of the image (imageSize)
 * and a track's numbers in the frame shown (isThere, numbers, errors).
 */
class Page {
  constructor(data, tracks, columns) {
    Object.assign(this, { data, tracks });
    this.picked = { track: 0, joint: -1 };
    this.seen = { flat: [], solid: [] };
    this.redraw = onceAFrame(() => this.draw());
    this.pictures = new Pictures(data.pictures, this.redraw);
    this.player = new Player(data.count, data.fps, this.pictures, this.redraw);
    this.space = new Space(element('solid'), data.limits, this.redraw);
    const error = data.error && { values: unpack(data.error), label: data.error_label };
    this.timeline = new Timeline(element('timeline'), data.count, tracks, error, this.player);
    const choose = (joint) => {
      this.pick(this.picked.track, joint === this.picked.joint ? -1 : joint);
    };
    const errors = ['error (mm)', `distance to the other result, ${data.origin} on ${data.origin}`];
    this.table = new Table(error ? [...columns, errors] : columns, data.joints, choose);
    if (error) this.table.addFoot('mean of all joints in this frame');
    this.markChips = addChips(tracks, (track) => this.pick(track, this.picked.joint));
    this.writeTexts();
    this.connectControls();
    this.connectKeys();
    this.connectPanels();
    this.redraw();
  }

  /** A choice among values, beside the speed; it sets a property of this page. */
  offer(property, title, names) {
    const select = document.createElement('select');
    select.id = `choice-${property}`;
    for (const [value, name] of Object.entries(names)) select.add(new Option(name, value));
    const take = () => {
      this[property] = select.value;
      if (this.space.limits !== this.limits()) this.space.frame(this.limits());
      this.redraw();
    };
    select.addEventListener('change', take);
    const label = document.createElement('label');
    label.append(`${title} `, select);
    element('options').append(label);
    take();
  }

  /** What the turning view has to show. */
  limits() {
    return this.data.limits;
  }

  pick(track, joint) {
    this.picked = { track, joint };
    this.redraw();
  }

  isPicked(track, joint) {
    return track === this.picked.track && joint === this.picked.joint;
  }

  changeTheme() {
    setTheme(isDark() ? 'light' : 'dark');
    this.redraw();
  }

  connectControls() {
    const { data, player, space } = this;
    const click = (id, act) => element(id).addEventListener('click', act);
    click('play', () => player.toggle());
    click('first', () => player.step(-data.count));
    click('last', () => player.step(data.count));
    click('back', () => player.step(-1));
    click('forward', () => player.step(1));
    click('reset', () => space.reset());
    click('theme', () => this.changeTheme());
    element('speed').addEventListener('change', () => changeSpeed(player, 0));
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
    for (const one of document.querySelectorAll('.moving')) one.hidden = data.count < 2;
    element('readout').hidden = !this.tracks.length;
    const [width, height] = data.image_size;
    element('flat').parentElement.style.setProperty('--aspect', width / height);
  }

  connectKeys() {
    const { data, player, space } = this;
    const keys = {
      ' ': () => player.toggle(),
      ArrowLeft: (event) => player.step(event.shiftKey ? -10 : -1),
      ArrowRight: (event) => player.step(event.shiftKey ? 10 : 1),
      Home: () => player.step(-data.count),
      End: () => player.step(data.count),
      '+': () => changeSpeed(player, 1),
      '=': () => changeSpeed(player, 1),
      '-': () => changeSpeed(player, -1),
      r: () => space.reset(),
      t: () => this.changeTheme(),
    };
    document.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.tagName === 'SELECT') return;
      if (event.target === space.canvas && space.key(event)) return;
      // what has the focus is pressed by the space bar itself
      if (event.key === ' ' && event.target.matches('button, [type=checkbox]')) return;
      const act = keys[event.key] || keys[event.key.toLowerCase()];
      if (!act) return;
      event.preventDefault();
      act(event);
    });
  }

  connectPanels() {
    window.addEventListener('resize', this.redraw);
    new ResizeObserver(this.redraw).observe(element('stage'));
    for (const id of ['flat', 'solid']) {
      element(id).addEventListener('click', (event) => {
        // a drag that turned the view ends in a click, too
        if (id === 'solid' && this.space.travel > 4) return;
        const hit = nearest(this.seen[id], event.offsetX, event.offsetY);
        if (hit) this.pick(hit.track, hit.joint);
      });
    }
  }

  /** Texts around the panels, from the data; never as markup. */
  writeTexts() {
    const { data } = this;
    element('subtitle').textContent = data.subtitle;
    element('flat-title').textContent = data.flat_title;
    element('solid-title').textContent = data.solid_title;
    for (const note of data.notes) {
      const item = document.createElement('li');
      item.textContent = note;
      element('notes').append(item);
    }
    this.legend = data.legend.map(({ name, color: ink }) => {
      const entry = document.createElement('span');
      entry.textContent = name;
      entry.classList.toggle('swatch', Boolean(ink));
      element('legend').append(entry);
      return { entry, ink };
    });
  }

  draw() {
    this.seen.solid = [];
    // until the picture is decoded, the one before stays, with its joints
    if (this.pictures.ready(this.player.frame)) this.drawFlat();
    this.drawSolid();
    this.timeline.draw();
    this.writeClock();
    this.writeReadout();
    this.markChips(this.picked.track, (track) => this.isThere(track));
    for (const { entry, ink } of this.legend) {
      if (ink) entry.style.setProperty('--swatch', shade(ink));
    }
  }

  drawFlat() {
    this.seen.flat = [];
    const { context, width, height } = prepare(element('flat'));
    const size = this.imageSize();
    const place = fit(size, width, height, this.pictures.some ? 0 : 10);
    const picture = this.pictures.get(this.player.frame);
    if (picture) {
      context.drawImage(picture, place.x, place.y, size[0] * place.scale, size[1] * place.scale);
    } else drawPlane(context, size, place);
    element('flat-note').textContent = this.pictures.note(this.player.frame, this.data.stride);
    this.drawOverImage(context, place, width, height);
  }

  drawSolid() {
    const { context, width, height } = prepare(element('solid'));
    this.space.begin(width, height);
    this.space.drawGround(context, width, height);
    this.drawScene(context, width, height);
  }

  /** Says where the clock stands. */
  writeClock() {
    const { data, player } = this;
    const seconds = data.timed ? ` · ${text(player.frame / data.fps, 2)} s` : '';
    const name = data.frame_names ? ` · ${data.frame_names[player.frame]}` : '';
    const clock = `frame ${player.frame * data.stride} of ${data.total}${seconds}${name}`;
    element('clock').textContent = clock;
    element('scrub').value = String(player.frame);
    element('scrub').setAttribute('aria-valuetext', clock);
    element('play').textContent = player.playing ? 'Pause' : 'Play';
  }

  writeReadout() {
    const { track, joint } = this.picked;
    if (!this.tracks.length || !this.isThere(track)) {
      this.table.fill(null, joint, '–');
      return;
    }
    const lines = this.numbers(track);
    if (!this.data.error) {
      this.table.fill(lines, joint);
      return;
    }
    const errors = this.errors(track);
    lines.forEach((line, number) => line.push(text(errors[number], 1)));
    const there = errors.filter(Number.isFinite);
    const mean = there.reduce((sum, one) => sum + one, 0) / there.length;
    this.table.fill(lines, joint, text(mean, 1));
  }
}

/** Runs a page; what goes wrong is said on it, not only in the console. */
function start(Kind) {
  try {
    startTheme();
    new Kind(JSON.parse(element('data').textContent));
  } catch (error) {
    element('failure').hidden = false;
    element('failure').textContent = `This page cannot be shown: ${error.message}`;
    throw error;
  }
}
