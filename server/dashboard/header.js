// The bar at the top: project, connection, watermark.

import { $, el, setText } from './dom.js';
import { clockTime, plural, span } from './format.js';

const STATES = { starting: 'starting', connecting: 'connecting', live: 'live', waiting: 'reconnecting', 'signed out': 'signed out' };
/** A lag above this is worth a look. */
const LAG_MS = 5_000;

export class Header {
  #watermark = null;
  #lag = 0;
  /** Server clock minus this machine's, in ms; the largest seen, for a message is only ever late. */
  #offset = -Infinity;

  state(name) {
    if (name === 'live') this.forget(); // A server that starts again has read less than the one before it.
    $('state').dataset.state = name;
    setText($('state'), STATES[name]);
    document.body.classList.toggle('offline', name === 'waiting');
  }

  /** Milliseconds since 1970 by the server's clock, as well as it is known. */
  serverNow() {
    return Date.now() + (Number.isFinite(this.#offset) ? this.#offset : 0);
  }

  /** Every event acknowledged before this moment is in the numbers; undefined while that is not known. */
  get processed() {
    return this.#watermark?.processed;
  }

  /** Takes a watermark and, from a heartbeat, the server's clock. */
  watermark(watermark, at) {
    if (at) this.#offset = Math.max(this.#offset, at.getTime() - Date.now());
    const processed = watermark?.processed;
    if (!processed || (this.#watermark && processed < this.#watermark.processed)) return;
    this.#watermark = watermark;
    this.#lag = Math.max(0, this.serverNow() - processed.getTime());
  }

  /** The sign-in ends soon: there is time to get a new one. */
  ending({ reason, at }) {
    if (reason !== 'token_expired') return;
    const when = at ? ` at ${clockTime(new Date(at))}` : ' soon';
    setText($('ending'), `Your sign-in ends${when}; footpath link makes a new one.`);
  }

  forget() {
    setText($('ending'), '');
    this.#watermark = null;
    this.#offset = -Infinity;
    setText($('watermark'), '');
  }

  /** Called every second; ten times a second nobody could read it. */
  draw() {
    const node = $('watermark');
    if (!this.#watermark) return;
    const { processed, expected } = this.#watermark;
    const missing = Number(expected) > 0 ? `, ${plural(expected, 'event')} known to be missing` : '';
    setText(node, `complete up to ${clockTime(new Date(processed))}, lag ${span(this.#lag)}${missing}`);
    node.classList.toggle('old', this.#lag > LAG_MS || Number(expected) > 0);
  }

  projects(projects, chosen) {
    const known = projects.some((p) => p.id === chosen) ? projects : [{ id: chosen, title: '' }, ...projects];
    $('project').replaceChildren(...known.map((p) => el('option', { value: p.id, textContent: p.title || p.id })));
    $('project').value = chosen;
    $('project').hidden = false;
  }
}
