// The page's beginning and end: signs in, puts the parts of a project together, and takes them apart again.

import { AlertRules } from './alert-rules.js';
import { assembleAlerts } from './alerting.js';
import { Codec } from './codec.js';
import { Corrections } from './corrections.js';
import * as credentials from './credentials.js';
import { Definer } from './definer.js';
import { $, setText } from './dom.js';
import { FirstEvent } from './first-event.js';
import { timesIn } from './format.js';
import { Funnels } from './funnels.js';
import { createClient } from './grpcweb.js';
import { Header } from './header.js';
import { Metrics } from './metrics.js';
import { Outcomes } from './outcomes.js';
import { addressOf, viewOf } from './place.js';
import { Refused } from './refused.js';
import { Segments } from './segments.js';
import { Tail } from './tail.js';
import { Tiles } from './tiles.js';
import { Watch } from './watch.js';

const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 5_000;

/** The buttons that make a new one, by kind. */
const NEW = { funnel: 'new-funnel', metric: 'new-metric', segment: 'new-segment', alertRule: 'new-alert-rule' };

const header = new Header();
const client = await loadClient();
/** What belongs to one signed-in project; aborting it ends all of it. */
let session = null;
let watch = null;

const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });

/** The client learns the API from the server's own descriptors, once the server is there. */
async function loadClient() {
  for (let wait = RETRY_FIRST_MS; ; wait = Math.min(wait * 2, RETRY_MAX_MS)) {
    try {
      const response = await fetch('/descriptors.bin', { credentials: 'omit' });
      if (response.ok) return createClient(new Codec(new Uint8Array(await response.arrayBuffer())), credentials.token);
    } catch {
      // The server may just be starting.
    }
    header.state('waiting');
    await sleep(wait);
  }
}

// ---------------------------------------------------------------- sign-in

async function start() {
  const code = credentials.takeCode();
  const refusal = code ? await exchange(code) : '';
  // A link that is opened twice in a tab: its code is used up, the token it gave is not.
  if (credentials.token()) open();
  else askForToken(refusal);
}

/** Turns the link's code into a token; returns why not. */
async function exchange(code) {
  try {
    const { token, project } = await client.unary('AdminService', 'ExchangeCode', { code }, { token: '' });
    credentials.signIn(token, project);
    return '';
  } catch (error) {
    return `This link did not work: ${error.message}.`;
  }
}

function askForToken(message) {
  header.state('signed out');
  setText($('sign-in-error'), message);
  $('board').hidden = true;
  $('alerts').hidden = true;
  $('sign-out').hidden = true;
  $('project').hidden = true;
  $('sign-in').hidden = false;
  $('token-input').focus();
}

function signOut(message) {
  close();
  credentials.signOut();
  askForToken(message);
}

const signedOutBy = (error) => {
  const expired = error.reason === 'token_expired';
  return expired ? 'Your sign-in has expired.' : `You were signed out: ${error.message}.`;
};

// ---------------------------------------------------------------- a project

function close() {
  session?.abort();
  session = null;
  document.body.classList.remove('fresh');
}

async function open() {
  close();
  session = new AbortController();
  const { signal } = session;
  header.forget();
  header.state('connecting');
  $('sign-in').hidden = true;
  $('sign-out').hidden = false;
  const view = viewOf(location.hash);
  if (view) credentials.openProject(view.project);
  const project = await chooseProject(signal);
  if (!project) return;
  watch = new Watch(client, project.id, {
    state: (name) => header.state(name),
    watermark: (watermark, at) => header.watermark(watermark, at),
    ending: (ending) => header.ending(ending),
    refused: (error) => signOut(signedOutBy(error)),
  });
  const parts = assemble(project, signal);
  for (const part of parts) for (const [ms, work, options] of part.routines ?? []) repeat(signal, ms, work, options);
  repeat(signal, 1000, () => header.draw());
  watch.run(signal);
}

/** The parts of the page, and what they tell each other. */
function assemble(project, signal) {
  const corrections = new Corrections();
  const notice = (subject, one) => corrections.take(subject, one);
  const funnels = new Funnels(client, project.id, watch, {
    notice,
    delta: (id, delta) => firstEvent.delta(id, delta),
    changed: () => firstEvent.funnelsChanged(),
  });
  const firstEvent = new FirstEvent({ client, project: project.id, watch, funnels, header });
  const metrics = new Metrics(client, project, watch, { notice });
  const tiles = new Tiles(watch, header, { notice });
  const refused = new Refused(client, project.id, { refused: (events) => firstEvent.refused(events) });
  const outcomes = new Outcomes(client, project.id, header);
  const tail = new Tail(watch);
  signal.addEventListener('abort', () => {
    firstEvent.end();
    metrics.end();
    tail.end();
  });
  const segments = new Segments(client, project.id);
  const times = timesIn(project.timeZone);
  const rules = new AlertRules(client, project.id, { metrics: () => metrics.all, times, header });
  offerForms(project.id, { funnel: funnels, metric: metrics, segment: segments, alertRule: rules }, times, signal);
  welcome(project.id, firstEvent, signal);
  const alerting = assembleAlerts({
    client, project, watch, header, times, rules, lists: { funnel: funnels, metric: metrics }, mayChange: credentials.role() !== 'viewer', elsewhere: open, signal,
  });
  return [funnels, metrics, segments, tiles, outcomes, refused, tail, ...alerting];
}

/** Who may define gets the buttons for it; what is saved is chosen. */
function offerForms(project, lists, times, signal) {
  const may = credentials.role() !== 'viewer';
  for (const id of [...Object.values(NEW), 'edit-funnel', 'edit-metric']) $(id).hidden = !may;
  if (!may) return;
  const definer = new Definer(client, project, {
    funnels: () => lists.funnel.all,
    times,
    saved: async (kind, id) => {
      await lists[kind].list();
      lists[kind].choose(id);
    },
    deleted: (kind) => lists[kind].list(),
    failed: (error) => (error.code === 'UNAUTHENTICATED' ? signOut(signedOutBy(error)) : setText($('announcer'), error.message)),
  });
  signal.addEventListener('abort', () => definer.end());
  lists.segment.open = (id) => definer.open('segment', id);
  lists.alertRule.change = (id) => definer.open('alertRule', id);
  for (const [kind, id] of Object.entries(NEW)) $(id).addEventListener('click', () => definer.open(kind), { signal });
  for (const kind of ['funnel', 'metric']) {
    $(`edit-${kind}`).addEventListener('click', () => definer.open(kind, lists[kind].chosen?.id), { signal });
  }
}

/** A project without events is shown how to send the first one. */
async function welcome(project, firstEvent, signal) {
  try {
    const { events } = await client.unary('QueryService', 'ListEvents', { project, pageSize: 1 });
    if (!signal.aborted && events.length === 0) firstEvent.welcome();
  } catch {
    // Without an answer the panel stays closed; it is one click away.
  }
}

/** Fills the project list; resolves to the project to open, or null if there is nothing to open. */
async function chooseProject(signal) {
  for (;;) {
    try {
      const { projects } = await client.unary('AdminService', 'ListProjects', {});
      if (signal.aborted) return null;
      if (!credentials.project() && projects.length > 0) credentials.openProject(projects[0].id);
      const chosen = credentials.project();
      header.projects(projects, chosen);
      return projects.find((one) => one.id === chosen) ?? { id: chosen, timeZone: '' };
    } catch (error) {
      if (signal.aborted) return null;
      if (error.code !== 'UNAVAILABLE' && error.code !== 'DEADLINE_EXCEEDED') {
        signOut(signedOutBy(error));
        return null;
      }
      header.state('waiting');
      await sleep(RETRY_FIRST_MS * (1 + Math.random()));
    }
  }
}

/** Runs `work` now and every `ms` after, one at a time, until the session ends. */
async function repeat(signal, ms, work, { asks = false, whenVisible = false } = {}) {
  while (!signal.aborted) {
    // What nobody sees need not be asked for, and whether the server is back is the watch's business.
    if (!(asks && watch.lost) && !(whenVisible && document.hidden)) {
      try {
        await work();
      } catch (error) {
        if (!signal.aborted && error.code === 'UNAUTHENTICATED') signOut(signedOutBy(error));
        else if (!error.code) console.error(error);
      }
    }
    await sleep(ms);
  }
}

// ---------------------------------------------------------------- wiring

$('sign-in-form').addEventListener('submit', (event) => {
  event.preventDefault();
  credentials.signIn($('token-input').value.trim(), $('project-input').value.trim());
  $('token-input').value = '';
  open();
});
$('sign-out').addEventListener('click', () => signOut(''));
$('project').addEventListener('change', () => {
  credentials.openProject($('project').value);
  const view = viewOf(location.hash);
  if (view) history.replaceState(null, '', addressOf($('project').value, view.view));
  open();
});
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault(); // The address says what is shown, not where on it somebody is.
  $('main').focus();
});
for (const button of document.querySelectorAll('[data-copy]')) {
  button.addEventListener('click', async () => {
    await navigator.clipboard?.writeText($(button.dataset.copy).textContent ?? '');
    setText(button, 'Copied');
    setTimeout(() => setText(button, 'Copy'), 1500);
  });
}
addEventListener('online', () => watch?.wake());
document.addEventListener('visibilitychange', () => { if (!document.hidden) watch?.wake(); });

start();
