// The one Watch stream of a tab. It carries every subscription, because a browser opens six connections to an
// HTTP/1.1 origin, and it heals by itself: whatever ends it, it comes back with its cursors.

const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 5_000;
/** A heartbeat comes every 15 s; two missed and some slack mean that the stream is dead. */
const SILENCE_MS = 40_000;
/** After a longer absence (a laptop that slept) events are not replayed one by one; a gap says so. */
const REPLAY_MAX_MS = 120_000;
/** Codes that say: what was asked for is not possible from these cursors. */
const CURSOR_CODES = new Set(['INVALID_ARGUMENT', 'FAILED_PRECONDITION', 'OUT_OF_RANGE', 'DATA_LOSS']);
/** Codes that say: these credentials will not do, now or later. */
const CREDENTIAL_CODES = new Set(['UNAUTHENTICATED', 'PERMISSION_DENIED']);
/** Messages that carry numbers, and who takes them; those of sessions and active persons are always whole. */
const NUMBERS = {
  funnelSnapshot: 'snapshot', funnelDelta: 'delta', metricSnapshot: 'snapshot', metricDelta: 'delta', sessions: 'snapshot', activeUsers: 'snapshot',
};

/**
 * @typedef {object} Handler receives what one subscription gets; every member is optional
 * @property {(message: object) => void} [snapshot]
 * @property {(message: object) => void} [delta]
 * @property {(events: object[]) => void} [events]
 * @property {(alerts: object[]) => void} [alerts]
 * @property {(gap: {reason: string, count: number, ms?: number}) => void} [gap]
 * @property {(ended: {reason: string, message: string}) => void} [ended]
 */

export class Watch {
  #client;
  #project;
  #on;
  #entries = new Map();
  #removed = new Set();
  #watchId = '';
  #changing = false;
  #attempt = null;
  #wake = () => {};
  /** Whether this role may not read events. */
  #numbersOnly = false;
  /** Wall-clock time of the last message: unlike `performance.now()` it goes on while a laptop sleeps. */
  #heard = 0;
  /** Whether messages come. */
  live = false;
  /** Whether the server was lost and is not back yet. */
  lost = false;

  /**
   * @param {object} on `state(name)`: connecting, live or waiting; `watermark(watermark, at)`; `ending(ending)`: the
   *   server announces the stream's end; `refused(error)`: these credentials will not do
   */
  constructor(client, project, on) {
    this.#client = client;
    this.#project = project;
    this.#on = on;
  }

  /** Subscribes under an id that is not in use; an open stream is told by ChangeWatch. */
  add(id, target, handler) {
    this.#entries.set(id, { target, handler, cursor: '', asked: false });
    if (this.#numbersOnly) this.#dropEvents();
    this.#change();
  }

  remove(id) {
    const entry = this.#entries.get(id);
    if (!entry) return;
    this.#entries.delete(id);
    if (entry.asked) this.#removed.add(id);
    this.#change();
  }

  has(id) {
    return this.#entries.has(id);
  }

  /** Tries again at once instead of waiting: the network is back, or somebody looks at the page. */
  wake() {
    this.#wake();
  }

  /** Watches until `signal` aborts or the server refuses the credentials. */
  async run(signal) {
    let wait = RETRY_FIRST_MS;
    this.#on.state('connecting');
    while (!signal.aborted) {
      const failed = await this.#once(signal, () => { wait = RETRY_FIRST_MS; });
      if (signal.aborted) return;
      if (failed?.reason === 'role_too_low' && this.#dropEvents()) continue;
      if (CREDENTIAL_CODES.has(failed?.code)) {
        this.#on.refused(failed);
        return;
      }
      if (CURSOR_CODES.has(failed?.code)) for (const entry of this.#entries.values()) entry.cursor = '';
      this.lost = true;
      this.#on.state('waiting');
      // Spread out, so that many pages do not come back in the same instant.
      await this.#pause(wait * (0.5 + Math.random()), signal);
      wait = Math.min(wait * 2, RETRY_MAX_MS);
    }
  }

  /** A role that may read numbers only has them without the events; true if there were any to drop. */
  #dropEvents() {
    this.#numbersOnly = true;
    const events = [...this.#entries].filter(([, entry]) => entry.target.events);
    for (const [id, { handler }] of events) {
      this.#entries.delete(id);
      handler.ended?.({ reason: 'role_too_low', message: 'your role may read numbers, not events' });
    }
    return events.length > 0;
  }

  #pause(ms, signal) {
    return new Promise((done) => {
      const timer = setTimeout(done, ms);
      this.#wake = () => {
        clearTimeout(timer);
        done();
      };
      signal.addEventListener('abort', this.#wake, { once: true });
    });
  }

  /** One stream, until it ends; resolves to why it did. */
  async #once(signal, onOpen) {
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    signal.addEventListener('abort', stop);
    this.#attempt = attempt;
    const request = this.#resume();
    this.#heard = Date.now();
    const watchdog = setInterval(() => { if (Date.now() - this.#heard > SILENCE_MS) stop(); }, 1000);
    try {
      let open = false;
      await this.#client.stream('LiveService', 'Watch', request, (message) => {
        this.#heard = Date.now();
        if (!open) {
          open = true;
          onOpen();
          this.live = true;
          this.lost = false;
          this.#on.state('live');
        }
        this.#receive(message);
      }, attempt.signal);
      return null;
    } catch (error) {
      if (!error.code) console.error(error);
      return error;
    } finally {
      clearInterval(watchdog);
      signal.removeEventListener('abort', stop);
      this.#watchId = '';
      this.live = false;
      stop();
    }
  }

  /** Asks for everything again, from where it was. */
  #resume() {
    const away = this.#heard === 0 ? 0 : Date.now() - this.#heard;
    for (const { target, cursor, handler } of this.#entries.values()) {
      if (cursor && target.events && away > REPLAY_MAX_MS) handler.gap?.({ reason: 'away', count: 0, ms: away });
    }
    const subscriptions = [...this.#entries].map(([id, entry]) => {
      entry.asked = true;
      if (entry.target.events && away > REPLAY_MAX_MS) entry.cursor = '';
      return { id, ...entry.target, cursor: entry.cursor };
    });
    this.#removed.clear();
    return { project: this.#project, subscriptions };
  }

  #receive(message) {
    const { started, heartbeat, events, alerts, gap, ended, ending } = message;
    if (started) {
      this.#watchId = started.watchId;
      this.#change();
    } else if (heartbeat) this.#on.watermark(heartbeat.watermark, heartbeat.at);
    else if (events) this.#with(events, (entry) => entry.handler.events?.(events.events));
    else if (alerts) this.#with(alerts, (entry) => entry.handler.alerts?.(alerts.alerts));
    else if (gap) this.#with(gap, (entry) => entry.handler.gap?.(gap));
    else if (ended) this.#end(ended);
    else if (ending) this.#on.ending(ending);
    else this.#numbers(message);
  }

  #numbers(message) {
    const [name] = Object.keys(message);
    const kind = NUMBERS[name];
    if (!kind) return; // Of a newer server.
    const numbers = message[name];
    // A snapshot's watermark is the one of the last change, which may be long ago; the heartbeat knows better.
    if (kind === 'delta') this.#on.watermark(numbers.watermark, null);
    this.#with(numbers, (entry) => entry.handler[kind]?.(numbers));
  }

  #with({ subscriptionId, cursor }, work) {
    const entry = this.#entries.get(subscriptionId);
    if (!entry) return; // It was removed a moment ago.
    if (cursor) entry.cursor = cursor;
    work(entry);
  }

  #end(ended) {
    const entry = this.#entries.get(ended.subscriptionId);
    this.#entries.delete(ended.subscriptionId);
    entry?.handler.ended?.(ended);
  }

  /** Tells the open stream what was added and removed since; one change at a time. */
  async #change() {
    if (!this.#watchId || this.#changing) return;
    const added = [...this.#entries].filter(([, entry]) => !entry.asked);
    const remove = [...this.#removed];
    if (added.length === 0 && remove.length === 0) return;
    this.#changing = true;
    for (const [, entry] of added) entry.asked = true;
    this.#removed.clear();
    const add = added.map(([id, { target, cursor }]) => ({ id, ...target, cursor }));
    const attempt = this.#attempt;
    try {
      const request = { project: this.#project, watchId: this.#watchId, add, remove };
      await this.#client.unary('LiveService', 'ChangeWatch', request);
    } catch {
      attempt.abort(); // What the server knows is unknown now; a new stream says all of it.
    } finally {
      this.#changing = false;
    }
    this.#change();
  }
}
