// One metric as the watch tells it: pure state, no DOM. Time comes in as an argument, in ms.

import { causeOf, MARK_MS } from './causes.js';
import { natureOf, sliceName, tracksOf, unitFor } from './measure.js';

/** Where a row that is no value of its own stands: behind those that are. */
const LAST = { other: 1, notSet: 2, notReached: 3 };

const kindOf = (value) => Object.keys(value ?? {})[0] ?? '';
/** What tells the rows of a breakdown apart. */
const keyOf = (value) => (kindOf(value) === 'value' ? `=${value.value}` : kindOf(value));

export class Metric {
  constructor(definition) {
    this.id = definition.id;
    /** What the feed of corrections names changes after. */
    this.labels = ['total'];
    this.define(definition);
  }

  get title() {
    return this.definition.title || this.id;
  }

  /** Takes a definition; true if it is another one now. */
  define(definition) {
    if (this.definition?.version === definition.version) return false;
    this.definition = definition;
    this.nature = natureOf(definition);
    this.forget();
    return true;
  }

  /** Nothing is known of its numbers: it is looked at in another way, or there is no answer yet. */
  forget() {
    Object.assign(this, {
      live: false, percent: 0, ended: '', rows: new Map(), whole: null, span: null, overflow: false, cut: false, known: false, recounted: false,
      mark: null, correctedAt: -Infinity,
    });
    /** When a bucket was corrected, by its beginning. */
    this.corrected = new Map();
  }

  /** All values together. */
  get total() {
    return (this.whole ?? this.rows.get(''))?.total;
  }

  /** How its values are to be read. */
  get unit() {
    return unitFor(this.nature.unit, this.total);
  }

  /** With a breakdown: the rows, the largest first, those without a value of their own last. */
  get sorted() {
    const [track] = tracksOf(this.total, this.unit);
    const size = (row) => track?.of(row.total) ?? 0;
    const place = (row) => LAST[kindOf(row.value)] ?? 0;
    return [...this.rows.values()].sort((a, b) => place(a) - place(b) || size(b) - size(a) || (a.name < b.name ? -1 : 1));
  }

  /** Whether it is shown by the values of a property. */
  get split() {
    return this.whole !== null;
  }

  /** Takes the whole numbers of a watch. */
  snapshot(message) {
    this.#take(message);
    this.live = message.state === 'DEFINITION_STATE_LIVE';
    this.percent = message.backfillPercent;
    this.next = message.next;
    this.cut = message.cut;
    this.recounted = message.recounted;
  }

  #take({ series, total, span, overflow }) {
    this.rows = new Map(series.map((one) => [keyOf(one.value), rowOf(one)]));
    this.whole = total ? rowOf(total) : null;
    this.ended = '';
    this.known = series.length > 0 || Boolean(span);
    Object.assign(this, { span, overflow });
  }

  /** Takes a change; returns what of it is not an event in its turn. */
  delta({ series, total, causes, span, overflow = false, cut = false }, now) {
    Object.assign(this, { overflow, cut });
    const before = this.#size;
    const from = span?.from?.getTime() ?? -Infinity;
    const touched = new Set();
    if (total) this.whole = this.#change(this.whole, total, from, touched);
    for (const one of series) {
      const key = keyOf(one.value);
      if (one.value && !one.total) this.rows.delete(key);
      else this.rows.set(key, this.#change(this.rows.get(key), one, from, touched));
    }
    this.span = span ?? this.span;
    for (const row of [this.whole, ...this.rows.values()]) row?.forget(from);
    return this.#correct(causes, before, touched, now);
  }

  get #size() {
    const [track] = tracksOf(this.total, this.unit);
    return track?.of(this.total) ?? 0;
  }

  #change(known, message, from, touched) {
    const row = known ?? rowOf({ ...message, buckets: [] });
    row.total = message.total;
    for (const { start, value } of message.buckets) {
      const at = start.getTime();
      if (value) row.buckets.set(at, value);
      else row.buckets.delete(at);
      if (at >= from) touched.add(at);
    }
    return row;
  }

  /** The watch says why numbers changed, not how much each cause brought: that is known only where there is one cause. */
  #correct(causes, before, touched, now) {
    const corrections = causes.filter((cause) => cause !== 'CAUSE_EVENT' && causeOf(cause).correction);
    if (corrections.length === 0) return [];
    const alone = causes.length === 1;
    const amount = this.#size - before;
    const newest = Math.max(...touched);
    for (const at of touched) if (alone || at !== newest) this.corrected.set(at, now);
    this.correctedAt = now;
    return corrections.map((cause) => {
      const goesOn = this.markAt(now)?.cause === cause;
      const sum = (goesOn ? this.mark.amount : 0) + (alone ? amount : NaN);
      this.mark = { cause, amount: sum, since: goesOn ? this.mark.since : now };
      return { cause, persons: NaN, change: alone ? [amount] : [] };
    });
  }

  /** The last correction, while it is fresh. */
  markAt(now) {
    return this.mark && now - this.mark.since < MARK_MS ? this.mark : null;
  }

  /** The beginnings of the buckets that were corrected lately. */
  correctedBuckets(now) {
    for (const [at, since] of this.corrected) if (now - since >= MARK_MS) this.corrected.delete(at);
    return new Set(this.corrected.keys());
  }
}

/** A series: its value's name, its total, its buckets by their beginning in ms. */
function rowOf({ value, total, buckets }) {
  return {
    key: keyOf(value),
    value,
    ...sliceName(value),
    total,
    buckets: new Map(buckets.map((b) => [b.start.getTime(), b.value])),
    /** Buckets before `from` are over; the first may begin before it. */
    forget(from) {
      for (const at of this.buckets.keys()) if (at < from) this.buckets.delete(at);
    },
  };
}

const MINUTE = 60_000;
/** More than a watch has. */
const MOST_COLUMNS = 2_000;
const UNITS = { MINUTE, HOUR: 60 * MINUTE, DAY: 1440 * MINUTE };

/**
 * The columns of a span: their beginnings, in ms. What is known gives the edges, the gaps are filled by the unit's length; days
 * may begin an hour sooner or later than that.
 */
export function columns(known, from, to, unit) {
  const length = UNITS[unit];
  const slack = unit === 'DAY' ? 0.1 : 0;
  const sorted = [...known].sort((a, b) => b - a);
  const anchor = sorted[0] ?? Math.floor(to / length) * length;
  const steps = (at) => (at - anchor) / length;
  const [first, last] = [Math.floor(steps(from)), Math.floor(steps(to - 1))];
  const starts = new Map();
  for (let k = Math.max(first, last - MOST_COLUMNS); k <= last; k += 1) starts.set(k, Math.max(from, anchor + k * length));
  for (const at of sorted) {
    const k = Math.floor(steps(at) + slack);
    // The range's first, cut column may begin just before a whole one, whose place is taken by then.
    const taken = starts.get(k) !== at && known.has(starts.get(k));
    starts.set(taken ? k - 1 : k, at);
  }
  return [...starts.entries()].sort(([a], [b]) => a - b).map(([, at]) => at);
}
