// The way of one event, from receipt to the funnel, by the server's clock. Pure state, no DOM.

import { preciseMs } from './format.js';

/** The event comes within a few deltas, or it was not sent yet. */
const MOST_DELTAS = 50;

export class Journey {
  /** @param {object|null} funnel the definition it is followed in */
  constructor(funnel) {
    this.funnel = funnel;
    this.event = null;
    this.storedMs = null;
    this.countedMs = null;
    /** Deltas that came before the event itself was seen: they may have it counted already. */
    this.deltas = [];
  }

  /** Whether the event enters the funnel, so that its numbers have to move. */
  get enters() {
    return Boolean(this.funnel?.steps[0]?.events.includes(this.event?.name));
  }

  get done() {
    return this.countedMs !== null || (this.event !== null && !this.enters);
  }

  /** The event is on disk. */
  seen(event) {
    if (this.event) return;
    this.event = event;
    this.receivedMs = preciseMs(event.receivedAt ?? event.storedAt);
    this.storedMs = Math.max(0, preciseMs(event.storedAt) - this.receivedMs);
    const counted = this.deltas.find((d) => d.position > Number(event.offset));
    if (counted) this.#count(counted.at);
  }

  /** The funnel's numbers changed at `at`, ms since 1970 by the server's clock; they hold everything below a position. */
  moved(position, at) {
    if (this.countedMs !== null) return;
    if (!this.event) this.deltas = [...this.deltas.slice(1 - MOST_DELTAS), { position, at }];
    else if (position > Number(this.event.offset)) this.#count(at);
  }

  #count(at) {
    if (this.enters) this.countedMs = Math.max(this.storedMs, at - this.receivedMs);
  }
}
