// The page: one watch for everything it shows, and three small calls beside it.
//
// Messages change `state`; what they touch is marked and drawn at most ten times a second, so a busy
// stream costs no more than a quiet one. Widths are set through the CSSOM: the page's content security
// policy allows no style attributes.

import { Codec } from './codec.js';
import { createClient } from './grpcweb.js';

const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 5_000;
/** A heartbeat comes every 15 s; two missed and some slack mean that the stream is dead. */
const SILENCE_MS = 40_000;
const DRAW_MS = 100;
const FUNNEL_LIST_MS = 5_000;
const OUTCOMES_MS = 2_000;
const OUTCOME_MINUTES = 60;
const TAIL_ROWS = 200;
const CORRECTIONS = 100;
/** Corrections of one cause that follow each other this closely are one line. */
const CORRECTION_MERGE_MS = 2_000;
const SPARK_SECONDS = 300;
const TAIL_ID = 'tail';
/** How long the test event may take to show up before the page asks the store for it. */
const JOURNEY_ASK_MS = 2_000;
const JOURNEY_MAX_MS = 15_000;

const CAUSES = {
  CAUSE_LATE_EVENT: 'late event',
  CAUSE_MERGE: 'merge',
  CAUSE_DEFINITION: 'definition',
  CAUSE_ERASURE: 'erasure',
  CAUSE_UNSPECIFIED: 'unnamed cause',
};
const ORDINARY = new Set(['CAUSE_EVENT', 'CAUSE_WINDOW_MOVED']);

const state = {
  token: '',
  project: '',
  connection: 'starting',
  funnels: new Map(),
  watchId: '',
  watermark: null,
  /** Server clock minus this machine's, from the last heartbeat, in ms. */
  clockOffset: 0,
  tail: { cursor: '', events: [], paused: false, seen: 0, seenAt: 0, allowed: true },
  journey: null,
};

const $ = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });
const integer = new Intl.NumberFormat('en');
const percent = (part, whole) => (Number(whole) === 0 ? '–' : `${((100 * Number(part)) / Number(whole)).toFixed(1)} %`);
const signed = (n) => (n > 0 ? `+${integer.format(n)}` : `−${integer.format(-Number(n))}`);
const clockTime = (date) => date.toTimeString().slice(0, 8);
const preciseMs = (date) => Math.floor(date.getTime() / 1000) * 1000 + (date.nanos ?? 0) / 1e6;
const milliseconds = (ms) => `${ms < 10 ? ms.toFixed(1) : integer.format(Math.round(ms))} ms`;

/** An element with properties and children; text only ever goes in as text. */
function el(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function setText(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

/** Starts a CSS animation anew. */
function flash(node, name) {
  node.classList.remove('up', 'down', 'corrected');
  void node.offsetWidth;
  node.classList.add(name);
}

// ---------------------------------------------------------------- sign-in

let client;

async function start() {
  const code = takeCode();
  client = await loadClient();
  state.token = sessionStorage.getItem('footpath.token') ?? '';
  state.project = sessionStorage.getItem('footpath.project') ?? '';
  // A link opened twice in a tab: the code is used up, the token it gave is not.
  if (code) await exchange(code);
  if (state.token) open();
  else askForToken();
}

/** Takes the one-time code out of the address, so that it is in no history and no bookmark. */
function takeCode() {
  const url = new URL(location.href);
  const code = url.searchParams.get('code');
  if (code) {
    url.searchParams.delete('code');
    history.replaceState(null, '', url.pathname + url.search + url.hash);
  }
  return code;
}

async function loadClient() {
  for (let wait = RETRY_FIRST_MS; ; wait = Math.min(wait * 2, RETRY_MAX_MS)) {
    try {
      const response = await fetch('/descriptors.bin', { credentials: 'omit' });
      if (response.ok) {
        const codec = new Codec(new Uint8Array(await response.arrayBuffer()));
        return createClient(codec, () => state.token);
      }
    } catch {
      // The server may just be starting.
    }
    connection('reconnecting');
    await sleep(wait);
  }
}

async function exchange(code) {
  try {
    const { token, project } = await client.unary('AdminService', 'ExchangeCode', { code }, { token: '' });
    remember(token, project);
  } catch (error) {
    setText($('sign-in-error'), `The link's code was not taken: ${error.message}. It works once; paste a token instead.`);
  }
}

function remember(token, project) {
  state.token = token;
  state.project = project;
  sessionStorage.setItem('footpath.token', token);
  sessionStorage.setItem('footpath.project', project);
}

function askForToken(message) {
  if (message) setText($('sign-in-error'), message);
  connection('signed out');
  $('board').hidden = true;
  $('sign-out').hidden = true;
  $('sign-in').hidden = false;
  $('token-input').focus();
}

function signOut(message) {
  sessionStorage.removeItem('footpath.token');
  sessionStorage.removeItem('footpath.project');
  state.token = '';
  session?.abort();
  askForToken(message);
}

/** Belongs to one signed-in project; aborting it ends every loop below. */
let session;

async function open() {
  session?.abort();
  session = new AbortController();
  const { signal } = session;
  reset();
  $('sign-in').hidden = true;
  $('sign-out').hidden = false;
  $('board').hidden = false;
  await listProjects(signal);
  if (signal.aborted) return;
  showSnippets();
  repeat(signal, FUNNEL_LIST_MS, listFunnels);
  repeat(signal, OUTCOMES_MS, queryOutcomes);
  repeat(signal, 1000, everySecond);
  watchForEver(signal);
}

function reset() {
  for (const funnel of state.funnels.values()) funnel.view.root.remove();
  state.funnels.clear();
  state.watermark = null;
  Object.assign(state.tail, { cursor: '', events: [], seen: 0, seenAt: performance.now(), allowed: true });
  $('corrections').replaceChildren();
  $('no-corrections').hidden = false;
  setText($('tail-note'), '');
  $('test-funnel').replaceChildren();
  journeyEnd();
  markTail();
}

/** Runs `work` now and after every `ms`, one at a time, until the session ends. */
async function repeat(signal, ms, work) {
  while (!signal.aborted) {
    // What nobody sees need not be asked for.
    if (!document.hidden || work !== queryOutcomes) {
      try {
        await work(signal);
      } catch (error) {
        if (!signal.aborted && error.code === 'UNAUTHENTICATED') signOut(`Signed out: ${error.message}`);
        else if (!error.code) throw error;
      }
    }
    await sleep(ms);
  }
}

async function listProjects(signal) {
  let projects = [];
  try {
    projects = (await client.unary('AdminService', 'ListProjects', {})).projects;
  } catch (error) {
    if (!signal.aborted && error.code === 'UNAUTHENTICATED') signOut(`Signed out: ${error.message}`);
  }
  if (signal.aborted) return;
  if (!state.project && projects.length > 0) remember(state.token, projects[0].id);
  if (!projects.some((p) => p.id === state.project)) projects = [{ id: state.project, title: '' }, ...projects];
  const options = projects.map((p) => el('option', { value: p.id, textContent: p.title || p.id }));
  $('project').replaceChildren(...options);
  $('project').value = state.project;
  $('project').hidden = false;
}

// ---------------------------------------------------------------- connection

function connection(name) {
  state.connection = name;
  $('state').dataset.state = name;
  setText($('state'), name);
}

async function watchForEver(signal) {
  let wait = RETRY_FIRST_MS;
  while (!signal.aborted) {
    const failed = await watchOnce(signal, () => { wait = RETRY_FIRST_MS; });
    state.watchId = '';
    if (signal.aborted) return;
    if (failed?.code === 'UNAUTHENTICATED') {
      signOut(`Signed out: ${failed.message}`);
      return;
    }
    connection('reconnecting');
    forget(failed);
    // Spread out, so that many pages do not come back in the same instant.
    await wakeable(wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, RETRY_MAX_MS);
  }
}

/** What the refusal says we should not ask for again. */
function forget(error) {
  if (error?.code === 'PERMISSION_DENIED' && state.tail.allowed) {
    state.tail.allowed = false;
    setText($('tail-note'), 'Your role may read numbers, not events.');
  }
  if (['INVALID_ARGUMENT', 'FAILED_PRECONDITION', 'OUT_OF_RANGE', 'DATA_LOSS'].includes(error?.code)) {
    state.tail.cursor = '';
    for (const funnel of state.funnels.values()) funnel.cursor = '';
  }
}

let wake = () => {};

/** Sleeps, unless the network comes back or the reader looks at the page again. */
function wakeable(ms) {
  return new Promise((done) => {
    wake = done;
    setTimeout(done, ms);
  });
}

/** One stream, until it ends; resolves to why it did. */
async function watchOnce(signal, onOpen) {
  const attempt = new AbortController();
  const stop = () => attempt.abort();
  signal.addEventListener('abort', stop);
  let lastMessage = performance.now();
  const watchdog = setInterval(() => { if (performance.now() - lastMessage > SILENCE_MS) stop(); }, 1000);
  try {
    await listFunnels();
    const asked = subscriptions();
    for (const funnel of state.funnels.values()) funnel.subscribed = true;
    await client.stream('LiveService', 'Watch', { project: state.project, subscriptions: asked }, (message) => {
      lastMessage = performance.now();
      if (state.connection !== 'live') {
        onOpen();
        connection('live');
      }
      receive(message);
    }, attempt.signal);
    return null;
  } catch (error) {
    if (!error.code) console.error(error);
    return error;
  } finally {
    clearInterval(watchdog);
    signal.removeEventListener('abort', stop);
    stop();
  }
}

function subscriptions() {
  const asked = [...state.funnels.values()].map(funnelSubscription);
  if (state.tail.allowed) asked.push({ id: TAIL_ID, events: {}, cursor: state.tail.cursor });
  return asked;
}

const funnelSubscription = ({ id, cursor }) => ({ id: `funnel:${id}`, funnel: { funnelId: id }, cursor });
const funnelOf = (subscriptionId) => state.funnels.get(subscriptionId.replace(/^funnel:/, ''));

function receive(message) {
  const [[kind, body]] = Object.entries(message).length > 0 ? Object.entries(message) : [['none', {}]];
  const handlers = {
    started: ({ watchId }) => { state.watchId = watchId; addMissing(); },
    heartbeat: ({ at, watermark }) => {
      if (at) state.clockOffset = at.getTime() - Date.now();
      noteWatermark(watermark);
    },
    funnelSnapshot: onSnapshot,
    funnelDelta: onDelta,
    events: onEvents,
    gap: onGap,
    ended: onEnded,
  };
  handlers[kind]?.(body);
}

function noteWatermark(watermark) {
  if (watermark?.processed) state.watermark = watermark;
}

// ---------------------------------------------------------------- funnels

async function listFunnels() {
  const defined = [];
  let pageToken = '';
  do {
    const page = await client.unary('DefinitionService', 'ListFunnels', { project: state.project, pageToken });
    defined.push(...page.funnels);
    pageToken = page.nextPageToken;
  } while (pageToken);
  for (const definition of defined) {
    const known = state.funnels.get(definition.id);
    if (!known) addFunnel(definition);
    else if (known.definition.version !== definition.version) {
      known.definition = definition;
      known.labels = labelsOf(definition);
      known.view.build(known);
      mark(known);
    }
  }
  const ids = new Set(defined.map((d) => d.id));
  for (const [id, funnel] of state.funnels) {
    if (ids.has(id)) continue;
    funnel.view.root.remove();
    state.funnels.delete(id);
  }
  $('no-funnels').hidden = defined.length > 0;
  listTestFunnels();
  await addMissing();
}

const labelsOf = (definition) => definition.steps.map((s) => s.label || s.events[0] || 'step');

function addFunnel(definition) {
  const funnel = {
    id: definition.id,
    definition,
    labels: labelsOf(definition),
    reached: [],
    previous: [],
    cursor: '',
    subscribed: false,
    state: 'FUNNEL_STATE_UNSPECIFIED',
    percent: 0,
    ended: '',
    /** Growth per step: [moment, step, persons], the last minute only. */
    gains: [],
    /** Conversion in per cent, once a second. */
    spark: [],
    corrected: 0,
    announcedAt: 0,
  };
  funnel.view = funnelView();
  funnel.view.build(funnel);
  state.funnels.set(funnel.id, funnel);
  $('funnels').append(funnel.view.root);
}

/** Subscribes to funnels that were defined since the watch was opened. */
async function addMissing() {
  const missing = [...state.funnels.values()].filter((f) => !f.subscribed);
  if (!state.watchId || missing.length === 0) return;
  for (const funnel of missing) funnel.subscribed = true;
  try {
    await client.unary('LiveService', 'ChangeWatch', {
      project: state.project, watchId: state.watchId, add: missing.map(funnelSubscription),
    });
  } catch {
    for (const funnel of missing) funnel.subscribed = false;
  }
}

function onSnapshot(snapshot) {
  const funnel = funnelOf(snapshot.subscriptionId);
  if (!funnel) return;
  funnel.reached = snapshot.reached;
  const labels = snapshot.labels.map((label, step) => label || funnel.labels[step] || `step ${step + 1}`);
  if (labels.length > 0 && labels.join('\n') !== funnel.labels.join('\n')) {
    funnel.labels = labels;
    funnel.view.build(funnel);
  }
  funnel.state = snapshot.state;
  funnel.percent = snapshot.backfillPercent;
  funnel.cursor = snapshot.cursor || funnel.cursor;
  funnel.ended = '';
  noteWatermark(snapshot.watermark);
  mark(funnel);
}

function onDelta(delta) {
  const funnel = funnelOf(delta.subscriptionId);
  if (!funnel) return;
  funnel.reached = delta.reached;
  funnel.cursor = delta.cursor || funnel.cursor;
  noteWatermark(delta.watermark);
  const now = performance.now();
  delta.change.forEach((change, step) => { if (change > 0) funnel.gains.push([now, step, Number(change)]); });
  const corrections = delta.causes.filter(({ cause }) => !ORDINARY.has(cause));
  for (const { cause, persons } of corrections) addCorrection(funnel, delta, cause, Number(persons));
  if (corrections.length > 0) funnel.corrected = now;
  journeyCounted(funnel, delta);
  mark(funnel);
}

function onEnded({ subscriptionId, reason, message }) {
  if (subscriptionId === TAIL_ID) {
    state.tail.cursor = '';
    if (reason === 'permission_denied') state.tail.allowed = false;
    setText($('tail-note'), `The event tail ended: ${message || reason}`);
    return;
  }
  const funnel = funnelOf(subscriptionId);
  if (!funnel) return;
  funnel.ended = message || reason;
  funnel.cursor = '';
  // If it is still defined, the next look at the list subscribes again.
  funnel.subscribed = false;
  mark(funnel);
}

function onGap({ subscriptionId, reason, count }) {
  const why = reason === 'trimmed' ? 'no longer kept in the log' : 'this page was too slow';
  if (subscriptionId === TAIL_ID) {
    state.tail.events.unshift({ gap: `${integer.format(count)} events left out: ${why}` });
    markTail();
    return;
  }
  const funnel = funnelOf(subscriptionId);
  if (funnel) funnel.view.note(`${integer.format(count)} messages left out (${why}); the numbers are whole again`);
}

/** One funnel's card: built once per definition, then only its changed parts are touched. */
function funnelView() {
  const title = el('h3');
  const overall = el('span', { className: 'overall num' });
  const note = el('span', { className: 'note' });
  const badge = el('span', { className: 'badge', hidden: true });
  const bar = el('progress', { max: 100 });
  const backfillText = el('span');
  const backfill = el('div', { className: 'backfill', hidden: true }, backfillText, bar);
  const steps = el('ol', { className: 'steps' });
  const line = svg('polyline', { points: '' });
  const spark = svg('svg', { class: 'spark', viewBox: '0 0 300 40', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    svg('line', { x1: 0, x2: 300, y1: 39.5, y2: 39.5 }), line);
  const low = el('span');
  const high = el('span');
  const live = el('p', { className: 'hidden' });
  live.setAttribute('aria-live', 'polite');
  const root = el('article', { className: 'card funnel' },
    el('div', { className: 'head' }, title, note, badge, overall), backfill, steps, spark,
    el('div', { className: 'spark-note' }, low, high), live);
  let rows = [];
  let flashedFor = 0;

  function build(funnel) {
    setText(title, funnel.definition.title || funnel.id);
    setText(note, rangeText(funnel.definition));
    rows = funnel.labels.map((label) => stepRow(label));
    steps.replaceChildren(legend(), ...rows.map((row) => row.root));
    funnel.previous = [];
  }

  function draw(funnel, now) {
    const filling = funnel.state === 'FUNNEL_STATE_BACKFILLING';
    root.classList.toggle('counting', filling);
    root.classList.toggle('ended', Boolean(funnel.ended));
    backfill.hidden = !filling;
    bar.value = funnel.percent;
    setText(backfillText, `BACKFILLING ${funnel.percent} %`);
    if (funnel.ended) setText(note, `ended: ${funnel.ended}`);
    const { reached } = funnel;
    const last = reached.length - 1;
    setText(overall, last >= 0 ? percent(reached[last], reached[0]) : '…');
    badge.hidden = funnel.corrected === 0 || now - funnel.corrected > 10_000;
    setText(badge, 'corrected');
    rows.forEach((row, step) => row.draw(funnel, step, now));
    if (funnel.corrected > flashedFor) {
      flashedFor = funnel.corrected;
      flash(root, 'corrected');
    }
    funnel.previous = reached;
  }

  function second(funnel) {
    const { points, min, max } = sparkline(funnel.spark);
    line.setAttribute('points', points);
    setText(low, `conversion, last ${Math.max(1, Math.round(funnel.spark.length / 60))} min`);
    setText(high, funnel.spark.length > 1 ? `${min.toFixed(1)} – ${max.toFixed(1)} %` : '');
  }

  function announce(text) {
    setText(live, text);
  }

  return { root, build, draw, second, announce, note: (text) => setText(note, text) };
}

function legend() {
  const part = (className, textContent) => el('span', { className, textContent });
  const row = el('li', { className: 'step legend' }, part('label', 'step'), part('', ''), part('reached', 'persons'),
    part('share', 'of first'), part('drop', 'lost on the way to it'), part('minute', 'last min'));
  row.setAttribute('aria-hidden', 'true');
  return row;
}

function stepRow(label) {
  const fill = el('div', { className: 'fill' });
  const reached = el('span', { className: 'reached num' });
  const share = el('span', { className: 'share num' });
  const drop = el('span', { className: 'drop num' });
  const minute = el('span', { className: 'minute num none' });
  const track = el('div', { className: 'track' }, fill);
  track.setAttribute('aria-hidden', 'true');
  const root = el('li', { className: 'step' }, el('span', { className: 'label', textContent: label, title: label }), track, reached, share, drop, minute);

  function draw(funnel, step, now) {
    const count = funnel.reached[step];
    if (count === undefined) return;
    const first = funnel.reached[0];
    fill.style.width = Number(first) > 0 ? `${(100 * Number(count)) / Number(first)}%` : '0';
    setText(reached, integer.format(count));
    setText(share, percent(count, first));
    if (step > 0) {
      const before = funnel.reached[step - 1];
      const lost = Number(before) - Number(count);
      setText(drop, lost === 0 ? 'none' : `−${integer.format(lost)} (${percent(lost, before)})`);
    }
    const gained = funnel.gains.reduce((sum, [at, s, n]) => sum + (s === step && now - at < 60_000 ? n : 0), 0);
    setText(minute, gained > 0 ? `+${integer.format(gained)}` : '0');
    minute.classList.toggle('none', gained === 0);
    const before = funnel.previous[step];
    if (before !== undefined && before !== count) flash(reached, count > before ? 'up' : 'down');
  }

  return { root, draw };
}

function rangeText({ range, window }) {
  const unit = (n, name) => `${n === 1 ? '' : `${n} `}${name}${n === 1 ? '' : 's'}`;
  let text = '';
  if (range?.last) text = `last ${unit(range.last.count, range.last.unit.replace('TIME_UNIT_', '').toLowerCase())}`;
  else if (range?.current) text = range.current === 'CALENDAR_RANGE_TODAY' ? 'today' : 'this week';
  else if (range?.fixed) text = `${range.fixed.from} to ${range.fixed.to}`;
  if (window) text += `${text ? ' · ' : ''}within ${durationText(window)}`;
  return text;
}

function durationText(seconds) {
  for (const [size, name] of [[86_400, 'd'], [3600, 'h'], [60, 'min']]) {
    if (seconds >= size && seconds % size === 0) return `${seconds / size} ${name}`;
  }
  return `${seconds} s`;
}

function sparkline(values) {
  const min = Math.min(...values);
  const max = Math.max(...values);
  const span = Math.max(max - min, 0.5);
  // A young page shows its first minute at full width rather than a stub in a corner.
  const step = 300 / (Math.max(values.length, 60) - 1);
  const from = 300 - (values.length - 1) * step;
  const y = (v) => 37 - (34 * (v - min)) / span;
  const points = values.map((v, i) => `${(from + i * step).toFixed(1)},${y(v).toFixed(1)}`).join(' ');
  return { points, min, max };
}

// ---------------------------------------------------------------- corrections

let lastCorrection = null;

/** "correction: late event +3", with the time and the steps it moved. */
function addCorrection(funnel, delta, cause, persons) {
  const net = delta.change.reduce((sum, n) => sum + Number(n), 0);
  const alone = delta.causes.every((c) => !ORDINARY.has(c.cause));
  const amount = alone && net < 0 ? -persons : persons;
  const key = `${funnel.id} ${cause} ${amount < 0}`;
  const now = performance.now();
  if (lastCorrection?.key === key && now - lastCorrection.at < CORRECTION_MERGE_MS && lastCorrection.item.isConnected) {
    lastCorrection.amount += amount;
    lastCorrection.at = now;
    delta.change.forEach((n, i) => { lastCorrection.change[i] = (lastCorrection.change[i] ?? 0) + Number(n); });
    lastCorrection.alone &&= alone;
  } else {
    lastCorrection = { key, at: now, amount, alone, change: delta.change.map(Number), item: el('li') };
    $('corrections').prepend(lastCorrection.item);
    $('no-corrections').hidden = true;
    while ($('corrections').children.length > CORRECTIONS) $('corrections').lastChild.remove();
  }
  const { item, change } = lastCorrection;
  const steps = change.map((n, i) => (n === 0 ? '' : `${funnel.labels[i] ?? i + 1} ${signed(n)}`)).filter(Boolean).join(', ');
  const detail = steps ? ` (${steps}${lastCorrection.alone ? '' : ', live events included'})` : '';
  item.replaceChildren(
    el('time', { textContent: clockTime(new Date()) }), ' ',
    el('strong', { textContent: `correction: ${CAUSES[cause] ?? cause} ${signed(lastCorrection.amount)}` }),
    ` ${funnel.definition.title || funnel.id}${detail}`,
  );
}

// ---------------------------------------------------------------- drawing

const dirty = new Set();
let tailDirty = false;
let drawTimer = 0;

function mark(funnel) {
  dirty.add(funnel);
  drawTimer ||= setTimeout(draw, DRAW_MS);
}

function markTail() {
  tailDirty = true;
  drawTimer ||= setTimeout(draw, DRAW_MS);
}

function draw() {
  drawTimer = 0;
  const now = performance.now();
  for (const funnel of dirty) funnel.view.draw(funnel, now);
  dirty.clear();
  if (tailDirty && !state.tail.paused) drawTail();
}

async function everySecond() {
  const now = performance.now();
  for (const funnel of state.funnels.values()) {
    funnel.gains = funnel.gains.filter(([at]) => now - at < 60_000);
    const { reached } = funnel;
    const counting = funnel.state === 'FUNNEL_STATE_LIVE' && Number(reached[0] ?? 0) > 0;
    if (counting) {
      const conversion = (100 * Number(reached.at(-1))) / Number(reached[0]);
      funnel.spark.push(conversion);
      if (funnel.spark.length > SPARK_SECONDS) funnel.spark.shift();
      funnel.view.second(funnel);
      // Read aloud now and then, not ten times a second.
      if (now - funnel.announcedAt > 15_000) {
        funnel.announcedAt = now;
        funnel.view.announce(`${funnel.definition.title || funnel.id}: ${reached.map((n, i) => `${funnel.labels[i]} ${n}`).join(', ')}; conversion ${conversion.toFixed(1)} per cent`);
      }
    }
    mark(funnel);
  }
  drawWatermark();
  const { tail } = state;
  setText($('tail-rate'), `${Math.round((1000 * tail.seen) / Math.max(now - tail.seenAt, 1))}/s`);
  tail.seen = 0;
  tail.seenAt = now;
}

function drawWatermark() {
  const node = $('watermark');
  if (!state.watermark) {
    setText(node, '');
    return;
  }
  const age = Math.max(0, (Date.now() + state.clockOffset - state.watermark.processed.getTime()) / 1000);
  const { expected } = state.watermark;
  const missing = Number(expected) > 0 ? `, ${integer.format(expected)} known to be missing` : '';
  setText(node, `complete up to ${age < 10 ? age.toFixed(1) : Math.round(age)} s ago${missing}`);
  node.classList.toggle('old', age > SILENCE_MS / 1000);
}

// ---------------------------------------------------------------- event tail

function onEvents({ events, cursor }) {
  const { tail } = state;
  tail.cursor = cursor || tail.cursor;
  tail.seen += events.length;
  for (const event of events) journeySeen(event);
  tail.events = [...events.slice(-TAIL_ROWS).reverse(), ...tail.events].slice(0, TAIL_ROWS);
  markTail();
}

function drawTail() {
  tailDirty = false;
  $('tail').replaceChildren(...state.tail.events.map((event) => {
    event.row ??= event.gap ? gapRow(event.gap) : eventRow(event);
    return event.row;
  }));
}

function gapRow(text) {
  const row = el('tr', { className: 'gap' }, el('td', { textContent: text }));
  row.firstChild.colSpan = 4;
  return row;
}

function eventRow(event) {
  const actor = event.userId || event.anonymousId;
  const properties = Object.entries(event.properties ?? {})
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`).join('  ');
  const cell = (textContent) => el('td', { textContent, title: textContent });
  return el('tr', { className: event.id === state.journey?.eventId ? 'mine' : '' },
    cell(event.storedAt ? clockTime(event.storedAt) : ''), cell(event.name), cell(actor), cell(properties));
}

function pauseTail() {
  const { tail } = state;
  tail.paused = !tail.paused;
  setText($('tail-pause'), tail.paused ? 'Go on' : 'Pause');
  $('tail-pause').setAttribute('aria-pressed', String(tail.paused));
  markTail();
}

// ---------------------------------------------------------------- outcomes

async function queryOutcomes(signal) {
  const now = Date.now() + state.clockOffset;
  const thisMinute = Math.floor(now / 60_000) * 60_000;
  const from = new Date(thisMinute - (OUTCOME_MINUTES - 1) * 60_000);
  try {
    const { totals, minutes } = await client.unary('QueryService', 'QueryOutcomes', { project: state.project, from });
    if (signal.aborted) return;
    setText($('outcomes-note'), '');
    drawTotals(totals);
    drawMinutes(minutes, from.getTime());
  } catch (error) {
    if (error.code === 'PERMISSION_DENIED') setText($('outcomes-note'), `Not shown: ${error.message}`);
    throw error;
  }
}

function drawTotals(totals) {
  const received = totals.reduce((sum, t) => sum + Number(t.count), 0);
  const rows = totals.map(({ outcome, reason, count }) => el('tr', {},
    el('td', { textContent: reason ? `${outcome}: ${reason}` : outcome }),
    el('td', { textContent: integer.format(count) }), el('td', { textContent: percent(count, received) })));
  const sum = el('tr', { className: 'sum' }, el('td', { textContent: 'received' }), el('td', { textContent: integer.format(received) }), el('td'));
  $('outcomes').replaceChildren(...rows, sum);
}

function drawMinutes(minutes, from) {
  const good = new Array(OUTCOME_MINUTES).fill(0);
  const bad = new Array(OUTCOME_MINUTES).fill(0);
  for (const { minute, counts } of minutes) {
    const slot = Math.floor((minute.getTime() - from) / 60_000);
    if (slot < 0 || slot >= OUTCOME_MINUTES) continue;
    for (const { outcome, count } of counts) {
      (['stored', 'duplicate'].includes(outcome) ? good : bad)[slot] += Number(count);
    }
  }
  const highest = Math.max(1, ...good.map((n, i) => n + bad[i]));
  const bars = good.flatMap((n, i) => {
    const high = (value) => (value === 0 ? 0 : Math.max(0.7, (38 * value) / highest));
    const y = 40 - high(n);
    return [svg('rect', { class: 'ok', x: i * 5, width: 4, y, height: high(n) }),
      svg('rect', { class: 'bad', x: i * 5, width: 4, y: y - high(bad[i]), height: high(bad[i]) })];
  });
  const label = `events per minute, the highest ${integer.format(highest)}`;
  const chart = svg('svg', { viewBox: '0 0 300 40', preserveAspectRatio: 'none', role: 'img', 'aria-label': label }, ...bars);
  $('outcomes-bars').replaceChildren(chart, el('p', { className: 'note', textContent: label }));
}

// ---------------------------------------------------------------- send your first event

function endpoint() {
  const port = location.port || (location.protocol === 'https:' ? '443' : '80');
  return `${location.hostname}:${port}`;
}

function showSnippets() {
  const key = $('key').value.trim() || '<project key>';
  const event = testFunnel()?.definition.steps[0]?.events[0] ?? 'hello';
  const quoted = event.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  const plain = location.protocol === 'https:' ? '' : ' -plaintext';
  setText($('snippet-grpcurl'), `grpcurl${plain} \\
  -H 'authorization: Bearer ${key}' \\
  -d '{"events": [{"name": "${quoted.replaceAll("'", "'\\''")}", "anonymousId": "me"}]}' \\
  ${endpoint()} footpath.v1.IngestService/Ingest`);
  setText($('snippet-rust'), `use footpath_client::{Client, Track};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::builder("${location.protocol}//${endpoint()}", "${key}")
        .project("${state.project}").queue_dir("footpath-queue").build()?;
    client.track(Track::new("${quoted}").anonymous("me"))?;
    println!("{:?}", client.flush(std::time::Duration::from_secs(10)));
    client.shutdown()?;
    Ok(())
}`);
}

function listTestFunnels() {
  const select = $('test-funnel');
  const funnels = [...state.funnels.values()];
  const wanted = funnels.map((f) => f.id).join('\n');
  if (select.dataset.ids === wanted && select.options.length > 0) return;
  const chosen = select.value;
  select.dataset.ids = wanted;
  const options = funnels.map((f) => el('option', { value: f.id, textContent: f.definition.title || f.id }));
  select.replaceChildren(...(options.length > 0 ? options : [el('option', { value: '', textContent: 'no funnel yet' })]));
  if (state.funnels.has(chosen)) select.value = chosen;
  showSnippets();
}

const testFunnel = () => state.funnels.get($('test-funnel').value);

/** Properties that meet the first step's conditions, where a value can be guessed from them. */
function propertiesFor(step) {
  const properties = {};
  for (const { property, operator, values } of step?.conditions ?? []) {
    const number = Number(values[0]);
    if (operator.startsWith('CONDITION_OPERATOR_GREATER')) properties[property] = number + 1;
    else if (operator.startsWith('CONDITION_OPERATOR_LESS')) properties[property] = number - 1;
    else if (operator === 'CONDITION_OPERATOR_NOT_EQUALS') properties[property] = `not ${values[0]}`;
    else if (operator !== 'CONDITION_OPERATOR_IS_NOT_SET') properties[property] = values[0] ?? 'set';
  }
  return properties;
}

/** A UUID, version 4. `randomUUID` exists only on https and localhost; this works on any address. */
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

async function createKey() {
  setText($('send-note'), '');
  $('create-key').disabled = true;
  try {
    const { secret } = await client.unary('AdminService', 'CreateProjectKey', {
      project: state.project, label: 'first event, from the page', environment: 'ENVIRONMENT_DEV',
    });
    $('key').value = secret;
    showSnippets();
  } catch (error) {
    const hint = error.code === 'PERMISSION_DENIED' ? 'only an admin creates keys: ask for one and paste it' : error.message;
    setText($('send-note'), `No key was created: ${hint}`);
  } finally {
    $('create-key').disabled = false;
  }
}

async function sendTestEvent() {
  const key = $('key').value.trim();
  setText($('send-note'), key ? '' : 'Paste a project key or create one first.');
  if (!key) return;
  const funnel = testFunnel();
  const step = funnel?.definition.steps[0];
  const event = {
    id: uuid(), name: step?.events[0] ?? 'hello', time: new Date(), anonymousId: `page-${uuid().slice(0, 8)}`,
    plainProperties: { ...propertiesFor(step), sent_from: 'page' },
  };
  journeyBegin(event, funnel);
  try {
    const answer = await client.unary('IngestService', 'Ingest', { batchId: uuid(), sentAt: new Date(), events: [event] }, { token: key });
    const [refusal] = answer.refused;
    if (refusal) journeyFailed(`Refused: ${refusal.reason}. ${refusal.message}`);
    else askStore(event);
  } catch (error) {
    journeyFailed(`Not taken: ${error.reason || error.code}. ${error.message}`);
  }
}

function journeyBegin(event, funnel) {
  state.journey = { eventId: event.id, funnelId: funnel?.id ?? '', sent: performance.now(), event: null, deltas: [], counted: false };
  $('journey').hidden = false;
  for (const item of $('journey').children) {
    item.className = '';
    item.querySelector('b')?.remove();
  }
  journeyStep('received', '…', '');
}

function journeyEnd() {
  state.journey = null;
  $('journey').hidden = true;
}

function journeyStep(step, value, className) {
  const item = $('journey').querySelector(`[data-step="${step}"]`);
  item.className = className;
  item.querySelector('b')?.remove();
  item.append(el('b', { textContent: value }));
}

function journeyFailed(message) {
  journeyStep('received', 'no', 'bad');
  setText($('send-note'), message);
  state.journey = null;
}

/** The tail may be paused at the server, cut or not allowed; then the store is asked for the event. */
async function askStore({ id, anonymousId }) {
  const { signal } = session;
  const mine = () => state.journey?.eventId === id && !signal.aborted;
  for (let waited = 0; waited < JOURNEY_MAX_MS; waited += JOURNEY_ASK_MS) {
    await sleep(JOURNEY_ASK_MS);
    if (!mine() || state.journey.counted) return;
    if (state.journey.event) continue;
    try {
      const { events } = await client.unary('QueryService', 'ListEvents', { project: state.project, actor: anonymousId });
      for (const event of events) journeySeen(event);
    } catch (error) {
      if (error.code === 'PERMISSION_DENIED') setText($('send-note'), 'Stored. Your role may not read events, so its times are not shown.');
    }
  }
  if (!mine()) return;
  if (!state.journey.event) setText($('send-note'), 'Stored, but not seen here yet.');
  else if (state.journey.funnelId) setText($('send-note'), 'Stored, but the funnel has not moved yet.');
}

function journeySeen(event) {
  const { journey } = state;
  if (!journey || journey.event || event.id !== journey.eventId) return;
  journey.event = event;
  journeyStep('received', 'yes', 'done');
  const took = event.receivedAt && event.storedAt ? preciseMs(event.storedAt) - preciseMs(event.receivedAt) : 0;
  journeyStep('stored', `+${milliseconds(took)}`, 'done');
  const delta = journey.deltas.find((d) => d.position > event.offset);
  if (delta) journeyFinished(delta.at);
}

/** The first delta whose watermark is past the event has it counted; it may come before the tail does. */
function journeyCounted(funnel, delta) {
  const { journey } = state;
  if (!journey || journey.counted || funnel.id !== journey.funnelId || !(delta.change[0] > 0)) return;
  const seen = { at: performance.now(), position: delta.watermark?.position ?? 0 };
  if (!journey.event) journey.deltas.push(seen);
  else if (seen.position > journey.event.offset) journeyFinished(seen.at);
}

function journeyFinished(at) {
  journeyStep('counted', milliseconds(at - state.journey.sent), 'done');
  setText($('send-note'), '');
  $('journey').title = 'stored: after receipt, by the server’s clock; in the funnel: from the click to this page';
  state.journey.counted = true;
}

// ---------------------------------------------------------------- wiring

$('sign-in-form').addEventListener('submit', (event) => {
  event.preventDefault();
  setText($('sign-in-error'), '');
  remember($('token-input').value.trim(), $('project-input').value.trim());
  $('token-input').value = '';
  open();
});
$('sign-out').addEventListener('click', () => signOut('Signed out.'));
$('project').addEventListener('change', () => {
  remember(state.token, $('project').value);
  open();
});
$('tail-pause').addEventListener('click', pauseTail);
$('key').addEventListener('input', showSnippets);
$('test-funnel').addEventListener('change', showSnippets);
$('create-key').addEventListener('click', createKey);
$('send').addEventListener('click', sendTestEvent);
for (const button of document.querySelectorAll('[data-copy]')) {
  button.addEventListener('click', async () => {
    await navigator.clipboard?.writeText($(button.dataset.copy).textContent);
    setText(button, 'Copied');
    setTimeout(() => setText(button, 'Copy'), 1500);
  });
}
addEventListener('online', () => wake());
document.addEventListener('visibilitychange', () => { if (!document.hidden) wake(); });

start();
