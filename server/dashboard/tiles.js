// The strip on top: how many persons are there, and what the sessions of today are like.

import { causeOf, MARK_MS } from './causes.js';
import { $, restart, setText, throttled } from './dom.js';
import { clockTime, elapsed, integer, percent } from './format.js';

const DRAW_MS = 100;
const QUIET_MS = 1_500;
/** What happens to sessions in their turn; everything else is a correction. */
const ORDINARY = new Set(['opened', 'extended', 'closed']);

/** What sessions are corrected by, summed up while it is fresh; pure. */
export class SessionMarks {
  #marks = new Map();

  /** Takes the changes of a message; returns the corrections among them. */
  take(changes, now) {
    const corrections = changes.filter(({ change }) => !ORDINARY.has(change)).map(({ change, count }) => ({ change, count: Number(count) }));
    for (const { change, count } of corrections) {
      const known = this.#fresh(change, now);
      this.#marks.set(change, { count: count + (known?.count ?? 0), since: known?.since ?? now });
    }
    return corrections;
  }

  #fresh(change, now) {
    const mark = this.#marks.get(change);
    return mark && now - mark.since < MARK_MS ? mark : null;
  }

  /** "3 widened, 1 joined"; empty if nothing was corrected lately. */
  text(now) {
    const fresh = [...this.#marks.keys()].filter((change) => this.#fresh(change, now));
    return fresh.map((change) => `${integer(this.#marks.get(change).count)} ${causeOf(change).badge}`).join(', ');
  }
}

export class Tiles {
  #marks = new SessionMarks();
  #groups = { active: group('active'), sessions: group('sessions') };
  #subject = { title: 'Sessions of today', labels: [] };
  #redraw = throttled(DRAW_MS, () => this.#draw());

  /** @param {object} on `notice(subject, notice)` for corrections */
  constructor(watch, header, on) {
    Object.assign(this, { watch, header, on });
    watch.add('tiles:active', { activeUsers: {} }, this.#handler('active'));
    watch.add('tiles:sessions', { sessions: {} }, this.#handler('sessions'));
    this.#draw();
  }

  get routines() {
    return [[1000, () => this.#draw()]];
  }

  #handler(name) {
    const one = this.#groups[name];
    return {
      snapshot: (message) => {
        one.numbers = message;
        one.ended = '';
        if (name === 'sessions') this.#correct(message.changes);
        this.#redraw();
      },
      ended: ({ message, reason }) => {
        one.ended = message || reason;
        this.#redraw();
      },
    };
  }

  #correct(changes) {
    for (const { change, count } of this.#marks.take(changes, performance.now())) {
      this.on.notice(this.#subject, { cause: change, persons: count, change: [] });
    }
  }

  #draw() {
    const now = performance.now();
    this.#drawState('active');
    this.#drawState('sessions');
    const { active, sessions } = this.#groups;
    if (active.numbers) figures(ACTIVE, active.numbers, now);
    if (sessions.numbers) figures(SESSIONS, sessions.numbers, now);
    const mark = this.#marks.text(now);
    if ($('sessions-mark').textContent === mark) return;
    setText($('sessions-mark'), mark);
    if (mark) restart($('sessions-mark'), 'new');
  }

  #drawState(name) {
    const { numbers, ended } = this.#groups[name];
    const live = numbers?.state === 'DEFINITION_STATE_LIVE';
    $(`${name}-tiles`).classList.toggle('pale', !live || Boolean(ended));
    setText($(`${name}-state`), ended ? `not shown: ${ended}` : stateText(numbers, live, this.#processed(numbers)));
    $(`${name}-state`).classList.toggle('filling', Boolean(numbers) && !live && !ended);
  }

  /** Numbers that did not change are as complete as the newest heartbeat says. */
  #processed(numbers) {
    const own = numbers?.watermark?.processed;
    const { processed } = this.header;
    return own && processed && processed > own && this.watch.live ? processed : own;
  }
}

const group = (name) => ({ name, numbers: null, ended: '' });

function stateText(numbers, live, processed) {
  if (!numbers) return 'waiting';
  if (!live) return `backfilling ${numbers.backfillPercent} %`;
  return processed ? `complete up to ${clockTime(processed)}` : '';
}

const ACTIVE = {
  'active-5': (n) => integer(n.last5Minutes),
  'active-30': (n) => integer(n.last30Minutes),
  'active-today': (n) => integer(n.today),
};
const SESSIONS = {
  'sessions-open': (n) => integer(n.open),
  'sessions-started': (n) => integer(n.started),
  'sessions-bounce': (n) => percent(n.bounces, n.started),
  'sessions-average': (n) => (n.averageDuration === undefined ? '–' : elapsed(n.averageDuration)),
  'sessions-median': (n) => (n.medianDuration === undefined ? '–' : elapsed(n.medianDuration)),
};

/** When each figure moved last: one that stood still lights up. */
const moved = new Map();

function figures(texts, numbers, now) {
  for (const [id, text] of Object.entries(texts)) {
    const node = $(id);
    const before = node.textContent;
    const after = text(numbers);
    if (before === after) continue;
    setText(node, after);
    if (before !== '–' && now - (moved.get(id) ?? -Infinity) > QUIET_MS) restart(node, 'up', ['up', 'down']);
    moved.set(id, now);
  }
}
