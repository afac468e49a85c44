// One funnel as the watch tells it: pure state, no DOM. Time comes in as an argument, in ms.

import { causeOf, MARK_MS } from './causes.js';

/** How far back the small charts reach. */
export const MOST_MINUTES = 5;
/** Persons who reached a step lately, in buckets. */
export const BUCKET_MS = 5_000;
export const BUCKETS = (MOST_MINUTES * 60_000) / BUCKET_MS;
/** The overall conversion, sampled. */
export const SAMPLE_MS = 2_000;
export const SAMPLES = (MOST_MINUTES * 60_000) / SAMPLE_MS;

export class Funnel {
  constructor(definition) {
    this.id = definition.id;
    this.live = false;
    this.percent = 0;
    this.ended = '';
    /** Persons at each step; empty until the first snapshot. */
    this.reached = [];
    /** Per step: {cause, amount, since} of the last corrections, or null. */
    this.marks = [];
    this.correctedAt = -Infinity;
    /** Conversion in per cent, one a sample; null where the page was not connected. */
    this.samples = [];
    this.define(definition);
  }

  get title() {
    return this.definition.title || this.id;
  }

  /** Takes a definition; true if the steps may look different now. */
  define(definition) {
    if (this.definition?.version === definition.version) return false;
    this.definition = definition;
    this.labels = definition.steps.map((step) => step.label || step.events[0] || 'step');
    this.#forget(definition.steps.length);
    return true;
  }

  #forget(steps) {
    this.reached = [];
    this.slices = [];
    this.took = undefined;
    this.marks = new Array(steps).fill(null);
    this.arrivals = Array.from({ length: steps }, () => new Array(BUCKETS).fill(0));
    this.bucket = null;
  }

  /** The share of those who entered that went through, in per cent; null while there is none. */
  get conversion() {
    const first = Number(this.reached[0] ?? 0);
    return first > 0 ? (100 * Number(this.reached.at(-1))) / first : null;
  }

  /** How many minutes the small charts should show: a young page would else show stubs in a corner. */
  get minutes() {
    return Math.min(MOST_MINUTES, Math.max(1, Math.ceil((this.samples.length * SAMPLE_MS) / 60_000)));
  }

  /** Takes the whole numbers; returns what is worth a line in the feed. */
  snapshot({ version, state, backfillPercent, next, reached, slices = [], conversionTime }) {
    const redefined = this.version !== undefined && this.version !== version;
    this.version = version;
    this.live = state === 'DEFINITION_STATE_LIVE';
    this.percent = backfillPercent;
    this.next = next;
    this.ended = '';
    Object.assign(this, { reached, slices, took: conversionTime });
    return redefined ? [{ cause: 'CAUSE_DEFINITION', persons: 0, change: [] }] : [];
  }

  /** Takes a change; returns what of it is not an event in its turn. */
  delta({ reached, change, causes, slices = [], conversionTime }, now) {
    Object.assign(this, { reached, slices, took: conversionTime });
    this.#turn(now);
    const named = causes.length > 0 ? causes : [{ cause: 'CAUSE_UNSPECIFIED', persons: 0, change }];
    const notices = [];
    for (const { cause, persons, change: steps } of named) {
      const own = steps.map(Number);
      if (cause === 'CAUSE_EVENT') own.forEach((n, step) => this.#arrive(step, n));
      // Whoever signs in takes their steps along: a merge that moves no number corrects none.
      else if (own.some((n) => n !== 0)) notices.push({ cause, persons: Number(persons), change: own });
    }
    for (const { cause, change: own } of notices) this.#mark(cause, own, now);
    return notices;
  }

  #arrive(step, persons) {
    if (persons > 0 && this.arrivals[step]) this.arrivals[step][BUCKETS - 1] += persons;
  }

  #mark(cause, change, now) {
    if (causeOf(cause).correction) this.correctedAt = now;
    change.forEach((amount, step) => {
      if (amount === 0 || step >= this.marks.length) return;
      const mark = this.marks[step];
      const fresh = mark && now - mark.since < MARK_MS;
      // A range that moves on must not hide the correction beside it.
      if (fresh && !causeOf(cause).correction && causeOf(mark.cause).correction) return;
      const goesOn = fresh && mark.cause === cause;
      this.marks[step] = { cause, amount: amount + (goesOn ? mark.amount : 0), since: goesOn ? mark.since : now };
    });
  }

  /** The step's mark, while it is fresh. */
  markAt(step, now) {
    const mark = this.marks[step];
    return mark && mark.amount !== 0 && now - mark.since < MARK_MS ? mark : null;
  }

  /** Moves the buckets on to `now`. */
  #turn(now) {
    const bucket = Math.floor(now / BUCKET_MS);
    const steps = Math.min(bucket - (this.bucket ?? bucket), BUCKETS);
    this.bucket = bucket;
    if (steps <= 0) return;
    for (const row of this.arrivals) {
      row.splice(0, steps);
      row.push(...new Array(steps).fill(0));
    }
  }

  /** Called every second: lets the buckets age. */
  tick(now) {
    this.#turn(now);
  }

  /** Called every SAMPLE_MS: takes a sample of the conversion, or marks that there is none. */
  sample(connected) {
    this.samples.push(connected && this.live ? this.conversion : null);
    if (this.samples.length > SAMPLES) this.samples.shift();
  }

  /** Persons who reached the step within the last `ms`. */
  arrived(step, ms) {
    const buckets = Math.ceil(ms / BUCKET_MS);
    return (this.arrivals[step] ?? []).slice(-buckets).reduce((sum, n) => sum + n, 0);
  }
}
