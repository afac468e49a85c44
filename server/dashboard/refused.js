// The last refused events: why, and what to do.

import { $, el, setText } from './dom.js';
import { clockTime } from './format.js';

const EVERY_MS = 3_000;
const SHOWN = 20;

export class Refused {
  #shown = '';
  #denied = false;

  /** @param {object} on `refused(events)` after every look, newest first */
  constructor(client, project, on) {
    Object.assign(this, { client, project, on });
    this.#draw([]);
  }

  get routines() {
    return [[EVERY_MS, () => this.#query(), { asks: true, whenVisible: true }]];
  }

  async #query() {
    if (this.#denied) return;
    try {
      const { events } = await this.client.unary('QueryService', 'ListRefusedEvents', { project: this.project, pageSize: SHOWN });
      this.on.refused(events);
      this.#draw(events);
    } catch (error) {
      if (error.code !== 'PERMISSION_DENIED') throw error;
      this.#denied = true;
      setText($('no-refused'), 'Your role may read numbers, not events.');
    }
  }

  #draw(events) {
    const known = JSON.stringify(events.map((e) => [e.receivedAt?.getTime(), e.batchId, e.index]));
    if (known === this.#shown) return;
    this.#shown = known;
    $('no-refused').hidden = events.length > 0;
    $('refused').replaceChildren(...events.map((event) => el('li', {},
      el('time', { textContent: event.receivedAt ? clockTime(event.receivedAt) : '' }),
      el('span', {}, el('code', { textContent: event.reason }), ` ${event.message}`),
      el('small', { textContent: whatItWas(event) }))));
  }
}

/** What is known of the event: its id or place, and its keys; the server keeps no values. */
function whatItWas({ eventId, index, payload }) {
  const keys = Object.keys(payload ?? {}).length > 0 ? JSON.stringify(payload) : '';
  const which = eventId ? `event ${eventId}` : keys && `event ${index + 1} of its batch`;
  return [which, keys].filter(Boolean).join(' ');
}
