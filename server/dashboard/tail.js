// The event tail: the latest events, filtered by the server, bounded here.

import { $, el, setText, throttled } from './dom.js';
import { clockTime, integer, plural, span } from './format.js';

const ROWS = 200;
const DRAW_MS = 200;
const FILTER_MS = 400;
/** A stream this fast for so long is let go of. */
const MOST_RATE = 5_000;
const FAST_SECONDS = 3;
const GAP_REASONS = { trimmed: 'no longer kept in the log', slow_consumer: 'this page was too slow' };

export class Tail {
  #rows = [];
  #paused = false;
  #waiting = 0;
  /** Why no more events come, if so. */
  #why = '';
  #fast = 0;
  #seen = 0;
  #seenAt = performance.now();
  #round = 0;
  #redraw = throttled(DRAW_MS, () => this.#draw());

  constructor(watch) {
    this.watch = watch;
    this.abort = new AbortController();
    const options = { signal: this.abort.signal };
    const filter = throttled(FILTER_MS, () => this.#subscribe());
    $('tail-names').addEventListener('input', filter, options);
    $('tail-actor').addEventListener('input', filter, options);
    $('tail-pause').addEventListener('click', () => this.#pause(!this.#paused), options);
    this.#pause(false);
    this.#subscribe();
  }

  end() {
    this.abort.abort();
  }

  get routines() {
    return [[1000, () => this.#rate()]];
  }

  /** Asks for what the filter names. A new id each time: what is still on its way belongs to the old filter. */
  #subscribe() {
    if (this.abort.signal.aborted) return;
    const names = $('tail-names').value.split(/[,\s]+/).filter(Boolean);
    const actor = $('tail-actor').value.trim();
    const wanted = JSON.stringify([names, actor]);
    if (wanted === this.wanted) return;
    this.wanted = wanted;
    this.watch.remove(this.#id);
    this.#round += 1;
    this.#rows = [];
    this.#waiting = 0;
    this.#why = '';
    this.#fast = 0;
    this.watch.add(this.#id, { events: { names, actor } }, this.#handler());
    this.#redraw();
  }

  get #id() {
    return `tail:${this.#round}`;
  }

  #handler() {
    return {
      events: (events) => this.#take(events.slice(-ROWS).reverse().map(eventRow), events.length),
      gap: ({ reason, count, ms }) => this.#take([gapRow(reason, count, ms)], 0),
      ended: ({ reason, message }) => {
        this.#why = `The tail ended: ${message || reason}.`;
        this.#redraw();
      },
    };
  }

  #take(rows, seen) {
    this.#seen += seen;
    if (this.#paused) this.#waiting += seen;
    this.#rows = [...rows, ...this.#rows].slice(0, ROWS);
    this.#redraw();
  }

  #pause(paused) {
    this.#paused = paused;
    this.#waiting = 0;
    setText($('tail-pause'), paused ? 'Resume' : 'Pause');
    $('tail-pause').setAttribute('aria-pressed', String(paused));
    this.#redraw();
  }

  #draw() {
    if (this.abort.signal.aborted) return;
    if (this.#paused) {
      setText($('tail-note'), this.#waiting > 0 ? `${plural(this.#waiting, 'event')} since you paused` : 'paused');
      return;
    }
    setText($('tail-note'), this.#why || (this.#rows.length > 0 ? '' : 'Waiting for events.'));
    $('tail').replaceChildren(...this.#rows.map((row) => row.node ??= row.make()));
  }

  #rate() {
    const now = performance.now();
    const rate = Math.round((1000 * this.#seen) / Math.max(now - this.#seenAt, 1));
    this.#seen = 0;
    this.#seenAt = now;
    setText($('tail-rate'), `${integer(rate)}/s`);
    this.#fast = rate > MOST_RATE ? this.#fast + 1 : 0;
    if (this.#fast >= FAST_SECONDS) this.#tooFast(rate);
  }

  /** Nobody reads this fast, and the numbers must not wait behind it on the stream that they share. */
  #tooFast(rate) {
    this.watch.remove(this.#id);
    this.wanted = '';
    this.#why = `${integer(rate)} events a second are too many to follow: name events or an actor.`;
    this.#fast = 0;
    this.#redraw();
  }
}

/** A row that is made when it is first drawn: of a busy stream most never are. */
const eventRow = (event) => ({ make: () => {
  const cell = (className, textContent) => el('td', { className, textContent, title: textContent });
  return el('tr', {}, cell('num', event.storedAt ? clockTime(event.storedAt) : ''), cell('name', event.name),
    cell('actor', event.userId || event.anonymousId), cell('properties', propertiesText(event.properties)));
} });

const gapRow = (reason, count, ms) => ({ make: () => {
  const what = reason === 'away'
    ? `events of ${span(ms)} are left out: this page was away`
    : `${integer(count)} left out: ${GAP_REASONS[reason] ?? reason}`;
  return el('tr', { className: 'gap' }, el('td', { colSpan: 4, textContent: what }));
} });

function propertiesText(properties) {
  return Object.entries(properties ?? {})
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`).join('  ');
}
