// The feed of corrections: what changed a number that was already shown, and was no event in its turn.

import { amountOf, causeOf } from './causes.js';
import { $, el, setText } from './dom.js';
import { clockTime, signed } from './format.js';

const LINES = 50;
/** Notices of one cause that follow each other this closely are one line. */
const CORRECTION_MERGE_MS = 3_000;
const RANGE_MERGE_MS = 60_000;
/** After this long a correction that goes on gets a line of its own again, at the top. */
const CORRECTION_LINE_MS = 30_000;
/** Read aloud at most this often. */
const ANNOUNCE_MS = 10_000;

/**
 * Lines of the feed, newest first; pure, time comes in as an argument. Its subjects are funnels, metrics and the sessions:
 * whatever has a `title`, and `labels` for what its changes are of.
 */
export class Feed {
  lines = [];

  /** Takes a notice; returns its line, which may be one that was there before. */
  take(subject, notice, now, at = new Date()) {
    const [patience, life] = causeOf(notice.cause).correction ? [CORRECTION_MERGE_MS, CORRECTION_LINE_MS] : [RANGE_MERGE_MS, Infinity];
    const known = this.lines.find((l) => l.subject === subject && l.cause === notice.cause);
    if (known && now - known.last < patience && now - known.first < life) {
      known.last = now;
      known.persons += notice.persons;
      notice.change.forEach((n, step) => { known.change[step] = (known.change[step] ?? 0) + n; });
      return known;
    }
    const line = { subject, cause: notice.cause, persons: notice.persons, change: [...notice.change], first: now, last: now, at };
    this.lines.unshift(line);
    this.lines.length = Math.min(this.lines.length, LINES);
    return line;
  }
}

export class Corrections {
  #feed = new Feed();
  #items = new Map();
  #announcedAt = -Infinity;

  constructor() {
    $('corrections').replaceChildren();
    $('no-corrections').hidden = false;
  }

  take(subject, notice) {
    const now = performance.now();
    const line = this.#feed.take(subject, notice, now);
    const item = this.#items.get(line) ?? el('li');
    item.className = causeOf(line.cause).correction ? 'correction' : 'range';
    item.replaceChildren(el('time', { textContent: clockTime(line.at) }), ...words(line));
    if (!this.#items.has(line)) {
      this.#items.set(line, item);
      $('corrections').prepend(item);
      $('no-corrections').hidden = true;
      this.#trim();
    }
    this.#announce(line, now);
  }

  #trim() {
    const kept = new Set(this.#feed.lines);
    for (const [line, item] of this.#items) {
      if (kept.has(line)) continue;
      item.remove();
      this.#items.delete(line);
    }
  }

  #announce(line, now) {
    if (!causeOf(line.cause).correction || now - this.#announcedAt < ANNOUNCE_MS) return;
    this.#announcedAt = now;
    setText($('announcer'), `${line.subject.title} was corrected by ${amountOf(line)}`);
  }
}

/** "Checkout corrected by 12 late events", and below it what that changed at each step, where that is known. */
function words(line) {
  const { subject, cause, change } = line;
  const verb = causeOf(cause).correction ? 'corrected by ' : ': ';
  const steps = change.map((n, step) => (n === 0 ? '' : `${subject.labels[step] ?? step + 1} ${signed(n)}`)).filter(Boolean);
  const headline = el('span', {}, `${subject.title}${verb === ': ' ? '' : ' '}${verb}`, el('strong', { textContent: amountOf(line) }));
  return [headline, el('small', { textContent: steps.join(', ') || (change.length > 0 ? 'numbers unchanged' : '') })];
}
