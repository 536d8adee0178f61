// The page: which run, what it shows, and how it stays up to date. Texts of the run only ever become
// text nodes, never markup.
'use strict';

const byId = (id) => document.getElementById(id);
const runName = new URLSearchParams(location.search).get('run');
const states = ['open', 'held', 'waiting', 'committed', 'quarantined'];
const stateTexts = {
  open: 'open', held: 'in work', waiting: 'waiting for another worker', committed: 'committed',
  quarantined: 'set aside',
};
const page = {run: null, chart: 'tokens', sort: 'worker', descending: false, filter: 'alive',
  cell: -1, lastEvent: 0, received: 0};

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  made.append(...children.map((child) => child ?? ''));
  return made;
}

// Live regions and the parts that somebody reads or has focused are left alone unless they change.
function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

function query(extra) {
  const parameters = new URLSearchParams(extra);
  if (runName !== null) parameters.set('run', runName);
  const text = parameters.toString();
  return text ? `?${text}` : '';
}

function clock(ms) {
  return new Date(ms).toLocaleTimeString([], {hour: '2-digit', minute: '2-digit', second: '2-digit'});
}

// --- alerts, progress, figures ---

// A screen reader says an alert once, when it is raised: later its text changes in place.
function showAlerts(alerts) {
  const list = byId('alert-list');
  for (const item of [...list.children]) {
    if (!alerts.some((alert) => alert.name === item.dataset.name)) item.remove();
  }
  for (const alert of alerts) {
    let item = list.querySelector(`[data-name="${CSS.escape(alert.name)}"]`);
    if (!item) {
      const name = alert.name.replace('Thresher', '').replace(/([a-z])([A-Z])/g, '$1 $2');
      item = element('li', {class: alert.severity, 'data-name': alert.name},
        element('b', {}, name), element('span', {}, alert.text));
      list.append(item);
    }
    setText(item.lastChild, alert.text);
  }
}

function showProgress(run) {
  const percent = (units) => 100 * units / run.unit_count;
  const finished = run.units_committed + run.quarantined_count;
  byId('progress-done').style.width = `${percent(run.units_committed)}%`;
  byId('progress-aside').style.width = `${percent(run.quarantined_count)}%`;
  const whole = Math.floor(percent(finished));
  const text = `${charts.count(finished)} of ${charts.count(run.unit_count)} units are finished`;
  const bar = byId('progress');
  bar.setAttribute('aria-valuenow', whole);
  bar.setAttribute('aria-valuetext', text);
  const left = run.remaining_ms === null ? '' : `, about ${charts.duration(run.remaining_ms)} left`;
  setText(byId('progress-text'), `${whole} %: ${text}${left}`);
  const badge = byId('state');
  setText(badge, run.state);
  badge.className = `badge ${run.state.split(' ').pop()}`;
  document.title = `${whole} % ${run.state} – ${runName || 'Thresher'}`;
}

function figuresOf(run) {
  const about = run.totals_from === 'sample' ? 'about ' : '';
  const over = (run.ended_ms ?? run.now_ms) - run.started_ms;
  const rejected = run.samples_rejected ? `, ${charts.count(run.samples_rejected)} rejected` : '';
  const figures = [
    ['Samples stored', about + charts.short(run.samples_stored), `of ${charts.short(run.sample_count)}${rejected}`],
    ['Tokens read', about + charts.short(run.forward_tokens), run.tokens === run.forward_tokens ? '' : `${charts.short(run.tokens)} stored`],
    ['Stored', about + charts.bytes(run.bytes), ''],
    ['Tokens/s now', charts.short(run.tokens_per_second), `${charts.short(run.overall_tokens_per_second)} over the run`],
    ['Upload now', `${charts.bytes(run.bytes_per_second)}/s`, `${charts.bytes(run.overall_bytes_per_second)}/s over the run`],
    [run.ended_ms ? 'It took' : 'Running for', charts.duration(over), ''],
    ['Taken over', charts.short(run.leases_taken_over), run.largest_epoch > 1 ? `one ${run.largest_epoch} times` : 'units of vanished workers'],
    ['Duplicates', charts.short(run.duplicates), 'thrown away'],
    ['Failed attempts', charts.short(run.failed_attempts), `${charts.count(run.quarantined_count)} units set aside`],
    ['Machine hours', run.cost.machine_hours.toFixed(2), run.cost.machine
      ? `about ${run.cost.machines.toFixed(2)} ${run.cost.currency} (${run.cost.machine})` : ''],
  ];
  return figures;
}

function showFigures(run) {
  byId('figures').replaceChildren(...figuresOf(run).map(([name, value, note]) =>
    element('div', {}, element('dt', {}, name), element('dd', {}, value, element('small', {}, note)))));
  const note = byId('totals-note');
  note.hidden = run.totals_from !== 'sample';
  setText(note, 'Samples, tokens and bytes are estimated from a sample of the commits; '
    + 'thresher status --exact reads them all.');
}

// --- charts ---

function showSpeed(run) {
  const holder = byId('speed-chart');
  let text = '';
  if (page.chart === 'units') {
    const bins = run.finished;
    const begun = charts.duration(0);
    const last = bins.length ? bins[bins.length - 1].end_ms : run.now_ms;
    charts.bars(holder, bins.map((bin) => bin.units), charts.short,
      [begun, '', charts.duration(last - run.started_ms)]);
    text = 'Units finished over the time since the run began.';
  } else {
    const column = page.chart === 'tokens' ? 1 : 2;
    const format = column === 1 ? charts.short : charts.bytes;
    charts.line(holder, run.speeds.map((point) => [point[0], point[column]]), format, clock);
    const values = run.speeds.map((point) => point[column]);
    if (values.length) {
      text = `${column === 1 ? 'Tokens' : 'Bytes uploaded'} per second since this program watches: `
        + `now ${format(values[values.length - 1])}, highest ${format(Math.max(...values))}.`;
    }
  }
  setText(byId('speed-text'), text);
}

function showHistogram(run, name, format, what) {
  const histogram = run[name];
  const holder = byId(`${what}-chart`);
  const counts = histogram.counts;
  const from = counts.findIndex((value) => value > 0);
  if (from < 0) {
    charts.bars(holder, [], charts.short, []);
    return setText(byId(`${what}-text`), 'Shown once units are committed.');
  }
  const border = (bin) => format(histogram.first * 2 ** bin);
  const begin = Math.max(0, from - 1);
  const shown = [...counts.slice(begin), 0];
  charts.bars(holder, shown, charts.short,
    [border(begin), border(begin + Math.round(shown.length / 2)), border(begin + shown.length)]);
  const most = counts.indexOf(Math.max(...counts));
  setText(byId(`${what}-text`), `Most have ${border(most)} to ${border(most + 1)}; `
    + `${charts.count(counts.reduce((a, b) => a + b, 0))} were looked at.`);
}

// --- the map of units ---

// One entry for each cell: [counts by state, number of its first unit].
function cellsOf(run) {
  const map = run.map;
  if (map.states === undefined) return map.cells;
  return [...map.states].map((digit) => states.map((_, state) => (state === Number(digit) ? 1 : 0)));
}

function mapShape(cells, width) {
  const side = Math.max(5, Math.min(26, Math.floor(Math.sqrt(width * 230 / Math.max(1, cells)))));
  const columns = Math.max(1, Math.floor(width / side));
  return {side, columns, rows: Math.ceil(cells / columns)};
}

// A cell of several units shows trouble and work first: a single unit set aside must not disappear.
function colourOf(counts, colours) {
  const total = counts.reduce((a, b) => a + b, 0);
  if (counts[4] > 0) return [colours.quarantined, 1];
  if (counts[1] > 0) return [colours.held, 1];
  if (counts[2] > 0) return [colours.waiting, 1];
  return [colours.committed, counts[3] / total];
}

function drawMap() {
  const run = page.run;
  const canvas = byId('map');
  const cells = cellsOf(run);
  const width = canvas.parentElement.clientWidth - 36;
  const shape = mapShape(cells.length, Math.max(200, width));
  const scale = window.devicePixelRatio || 1;
  canvas.width = shape.columns * shape.side * scale;
  canvas.height = shape.rows * shape.side * scale;
  canvas.style.width = `${shape.columns * shape.side}px`;
  canvas.style.height = `${shape.rows * shape.side}px`;
  const style = getComputedStyle(document.documentElement);
  const colours = Object.fromEntries(states.map((state) => [state, style.getPropertyValue(`--${state}`)]));
  const context = canvas.getContext('2d');
  context.scale(scale, scale);
  const gap = shape.side > 8 ? 2 : 1;
  cells.forEach((counts, index) => {
    const x = index % shape.columns * shape.side;
    const y = Math.floor(index / shape.columns) * shape.side;
    const size = shape.side - gap;
    context.fillStyle = colours.open;
    context.fillRect(x, y, size, size);
    const [colour, part] = colourOf(counts, colours);
    context.fillStyle = colour;
    const height = part > 0 ? Math.max(1, Math.round(size * part)) : 0;
    context.fillRect(x, y + size - height, size, height);
    if (index === page.cell) {
      context.strokeStyle = style.getPropertyValue('--ink');
      context.lineWidth = 2;
      context.strokeRect(x + 1, y + 1, size - 2, size - 2);
    }
  });
  page.shape = {...shape, cells};
}

function showMap(run) {
  drawMap();
  const per = run.map.units_per_cell;
  const counts = states.map((state) => `${charts.count(run.units[state])} ${stateTexts[state]}`);
  setText(byId('map-text'), (per > 1 ? `Each cell is ${charts.count(per)} units. ` : '') + `${counts.join(', ')}.`);
  byId('legend').replaceChildren(...states.map((state) =>
    element('li', {}, element('i', {class: state}), `${stateTexts[state]} ${charts.short(run.units[state])}`)));
  describeCell();
}

function describeCell() {
  const shape = page.shape;
  if (!shape || page.cell < 0 || page.cell >= shape.cells.length) return setText(byId('map-cell'), '');
  const per = page.run.map.units_per_cell;
  const counts = shape.cells[page.cell];
  const first = page.cell * per;
  const last = first + counts.reduce((a, b) => a + b, 0) - 1;
  const what = states.filter((_, index) => counts[index] > 0)
    .map((state) => (per > 1 ? `${counts[states.indexOf(state)]} ` : '') + stateTexts[state]);
  const holder = page.run.workers.find((worker) => worker.alive && worker.units_held.includes(first));
  const by = per === 1 && holder && counts[1] ? ` by worker ${holder.worker}` : '';
  setText(byId('map-cell'), `${per > 1 ? `Units ${first} to ${last}` : `Unit ${first}`}: ${what.join(', ')}${by}`);
}

function chooseCell(cell) {
  page.cell = cell;
  drawMap();
  describeCell();
}

function listenToMap() {
  const canvas = byId('map');
  canvas.addEventListener('pointermove', (event) => {
    const column = Math.floor(event.offsetX / page.shape.side);
    const row = Math.floor(event.offsetY / page.shape.side);
    const cell = row * page.shape.columns + column;
    if (column < page.shape.columns && cell < page.shape.cells.length) chooseCell(cell);
  });
  canvas.addEventListener('pointerleave', () => chooseCell(-1));
  canvas.addEventListener('keydown', (event) => {
    const steps = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: page.shape.columns,
      ArrowUp: -page.shape.columns};
    let cell = page.cell + (steps[event.key] || 0);
    if (event.key === 'Home') cell = 0;
    else if (event.key === 'End') cell = page.shape.cells.length - 1;
    else if (event.key === 'Escape') cell = -1;
    else if (!steps[event.key]) return;
    event.preventDefault();
    if (event.key === 'Escape') return chooseCell(-1);
    chooseCell(Math.max(0, Math.min(page.shape.cells.length - 1, cell)));
  });
}

// --- workers ---

function isShown(worker) {
  if (page.filter === 'all') return true;
  const trouble = worker.state === 'silent' || worker.state === 'lost';
  if (page.filter === 'trouble') return trouble || worker.last_error !== '';
  return trouble || worker.state === 'running' || worker.state === 'ending';
}

function phasesOf(worker) {
  const parts = [['engine', worker.engine_seconds, 'computing'],
    ['unit', worker.wait_for_unit_seconds, 'waiting for a unit'],
    ['arena', worker.wait_for_arena_seconds, 'waiting for uploads']];
  const total = parts.reduce((sum, part) => sum + part[1], 0);
  if (total <= 0) return element('span', {}, '–');
  const text = parts.map(([, value, name]) => `${Math.round(100 * value / total)} % ${name}`).join(', ');
  const bar = element('span', {class: 'phases', role: 'img', 'aria-label': text, title: text});
  for (const [name, value] of parts) {
    const part = element('span', {class: name});
    part.style.width = `${100 * value / total}%`;
    bar.append(part);
  }
  return bar;
}

function rowOf(worker) {
  const cell = (label, content, className) =>
    element('td', {'data-label': label, class: className || ''}, content);
  const runs = worker.state === 'running';
  const spark = charts.spark(worker.spark);
  const row = element('tr', {class: worker.state, 'data-session': worker.session},
    element('th', {scope: 'row'}, `${worker.worker}`, element('small', {}, worker.host || worker.session)),
    cell('State', element('span', {}, element('i', {class: `dot ${worker.state}`}), worker.state)),
    cell('Unit', worker.units_held.slice(0, 3).join(', ') || '–'),
    cell('Tokens/s', runs ? charts.short(worker.recent_tokens_per_second) : '–', 'number'),
    cell('Lately', spark),
    cell('Upload', runs ? `${charts.bytes(worker.recent_bytes_per_second)}/s` : '–', 'number'),
    cell('Committed', charts.count(worker.units_committed), 'number'),
    cell('Heartbeat', `${charts.duration(worker.heartbeat_age_ms)} ago`, 'number'),
    cell('Restarts', charts.count(worker.restarts), 'number'),
    cell('Time in', phasesOf(worker)),
    cell('Last error', worker.last_error, 'error'));
  row.lastChild.title = worker.last_error;
  return row;
}

function showWorkers(run) {
  const sign = page.descending ? -1 : 1;
  const key = page.sort;
  // Nobody is at work in a finished run: then those who were.
  const nobody = page.filter === 'alive' && !run.workers.some(isShown);
  const workers = run.workers.filter((worker) => nobody || isShown(worker)).sort((a, b) => {
    const order = typeof a[key] === 'string' ? a[key].localeCompare(b[key]) : a[key] - b[key];
    return sign * order || a.worker - b.worker;
  });
  const counts = Object.entries(run.worker_states).filter(([, number]) => number > 0)
    .map(([state, number]) => `${charts.count(number)} ${state}`);
  const missing = run.worker_count - run.workers.length;
  setText(byId('workers-text'), `${counts.join(', ') || 'No worker has been here'}.`
    + (missing > 0 ? ` ${charts.count(missing)} sessions are left out; /api/run?workers=N has them.` : ''));
  byId('workers-body').replaceChildren(...workers.map(rowOf));
}

function showProblems(run) {
  const items = run.quarantined.map((unit) =>
    `Unit ${unit.unit}, samples ${unit.first_sample} to ${unit.first_sample + unit.sample_count - 1}: ${unit.errors[0] || 'no reason given'}`)
    .concat(run.first_rejected.map((sample) => `Sample ${sample.sample}: ${sample.reason}`))
    .concat(run.unreadable.map((text) => `Cannot be read: ${text}`));
  byId('problems').hidden = items.length === 0;
  byId('problem-list').replaceChildren(...items.slice(0, 100).map((item) => element('li', {}, item)));
}

// --- events ---

function showEvents(run) {
  const list = byId('events');
  for (const event of run.events) {
    if (event.number <= page.lastEvent) continue;
    page.lastEvent = event.number;
    list.prepend(element('li', {class: event.level},
      element('time', {datetime: new Date(event.unix_ms).toISOString()}, clock(event.unix_ms)),
      element('span', {}, event.text)));
  }
  while (list.childElementCount > 200) list.lastElementChild.remove();
}

// --- the whole page ---

function showConnection() {
  const target = byId('connection');
  const live = page.stream && page.stream.readyState === EventSource.OPEN;
  const failing = page.run && page.run.error;
  target.className = `connection ${live && !failing ? 'live' : 'lost'}`;
  let text = live ? 'Live' : 'The dashboard does not answer; trying again';
  if (live && failing) text = `The store does not answer since ${clock(page.run.read_unix_ms || page.run.unix_ms)}`;
  setText(target, text);
}

function show(run) {
  page.run = run;
  if (run.unit_count === undefined) {
    showAlerts(run.alerts);
    byId('run').hidden = false;
    return showConnection();
  }
  byId('run').hidden = false;
  setText(byId('address'), run.url);
  showAlerts(run.alerts);
  showProgress(run);
  showFigures(run);
  showSpeed(run);
  showMap(run);
  showWorkers(run);
  showProblems(run);
  showHistogram(run, 'shard_bytes', charts.bytes, 'shards');
  showHistogram(run, 'sequence_tokens', (value) => `${charts.count(value)} tokens`, 'sequences');
  showEvents(run);
  showConnection();
}

function watch() {
  page.stream = new EventSource(`api/stream${query()}`);
  page.stream.addEventListener('run', (event) => {
    const run = JSON.parse(event.data);
    // Another program answers at this address now: its events begin at 1 again.
    if (run.version < (page.run?.version ?? 0)) page.lastEvent = 0;
    show(run);
  });
  page.stream.addEventListener('open', showConnection);
  page.stream.addEventListener('error', () => {
    showConnection();
    // A refused connection is not tried again by the browser itself.
    if (page.stream.readyState === EventSource.CLOSED) setTimeout(watch, 3000);
  });
}

async function showRuns() {
  const answer = await fetch('api/runs').then((response) => response.json(), () => null);
  if (answer?.runs?.length === 1 && answer.runs[0].name === '') return watch();
  setTimeout(showRuns, 5000);
  if (!answer) return setText(byId('connection'), 'The dashboard does not answer; trying again');
  const failure = {severity: 'critical', name: 'ThresherStoreUnreachable', text: answer.error};
  showAlerts(answer.error ? [failure] : []);
  byId('run').hidden = !answer.error;
  if (answer.error) return;
  byId('runs').hidden = false;
  byId('connection').className = 'connection live';
  setText(byId('connection'), 'Live');
  setText(byId('address'), answer.url);
  byId('runs-none').hidden = answer.runs.length > 0;
  byId('runs-table').hidden = answer.runs.length === 0;
  const body = byId('runs-body');
  for (const run of answer.runs) {
    if (body.querySelector(`[data-run="${CSS.escape(run.name)}"]`)) continue;
    const link = element('a', {href: `?${new URLSearchParams({run: run.name})}`}, run.name);
    const row = element('tr', {'data-run': run.name}, element('th', {scope: 'row'}, link),
      element('td', {}, '…'), element('td', {class: 'number'}, ''),
      element('td', {}, new Date(run.started_ms).toLocaleString()));
    body.append(row);
    fetch(`api/run?${new URLSearchParams({run: run.name, workers: 0})}`)
      .then((response) => response.json()).then((state) => {
        row.children[1].textContent = state.state ?? state.error;
        if (state.unit_count) row.children[2].textContent = `${charts.count(state.units_committed)} of ${charts.count(state.unit_count)}`;
      });
  }
}

function listen() {
  for (const button of document.querySelectorAll('[data-chart]')) {
    button.addEventListener('click', () => {
      page.chart = button.dataset.chart;
      for (const other of document.querySelectorAll('[data-chart]')) {
        other.setAttribute('aria-pressed', other === button);
      }
      if (page.run?.speeds) showSpeed(page.run);
    });
  }
  for (const button of document.querySelectorAll('[data-sort]')) {
    button.addEventListener('click', () => {
      page.descending = page.sort === button.dataset.sort && !page.descending;
      page.sort = button.dataset.sort;
      for (const other of document.querySelectorAll('[data-sort]')) other.parentElement.removeAttribute('aria-sort');
      button.parentElement.setAttribute('aria-sort', page.descending ? 'descending' : 'ascending');
      if (page.run) showWorkers(page.run);
    });
  }
  byId('worker-filter').addEventListener('change', (event) => {
    page.filter = event.target.value;
    if (page.run) showWorkers(page.run);
  });
  listenToMap();
  const redraw = () => page.run?.map && show(page.run);
  window.addEventListener('resize', redraw);
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
}

listen();
if (runName !== null) {
  byId('runs-nav').hidden = false;
  watch();
} else {
  showRuns();
}
