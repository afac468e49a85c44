// "Send your first event": a key, what to paste, and then the event's way in milliseconds, or the reason why not.

import * as credentials from './credentials.js';
import { $, el, setText } from './dom.js';
import { clockTime, span } from './format.js';
import { Journey } from './journey.js';
import { grpcurl, propertiesFor, rust } from './snippets.js';

/** A stored event that has to move the funnel does so in milliseconds; after this long something is wrong. */
const COUNT_MS = 5_000;

export class FirstEvent {
  #journey = null;
  #actor = '';
  #keyAsked = false;
  /** The funnel whose first event is filled in. */
  #named = null;
  #since = new Date();

  constructor({ client, project, watch, funnels, header }) {
    Object.assign(this, { client, project, watch, funnels, header });
    this.abort = new AbortController();
    const on = (id, type, work) => $(id).addEventListener(type, work, { signal: this.abort.signal });
    on('first-event', 'toggle', () => this.#opened());
    on('create-key', 'click', () => this.#createKey());
    on('key', 'input', () => this.#snippets());
    on('event-name', 'input', () => this.#snippets());
    on('event-funnel', 'change', () => this.#begin());
    on('send', 'click', () => this.#send());
    $('key').value = credentials.projectKey();
    $('event-funnel').replaceChildren();
    this.#say('');
    this.#begin();
    this.#opened();
  }

  end() {
    this.abort.abort();
  }

  /** A project without a single event: this is what to do first. */
  welcome() {
    document.body.classList.add('fresh');
    $('first-event').open = true;
  }

  /** Opening the panel makes a key, once: it is what the snippets need. */
  #opened() {
    if (!$('first-event').open) return;
    this.#since = new Date(this.header.serverNow());
    if (!$('key').value && !this.#keyAsked) this.#createKey();
  }

  async #createKey() {
    this.#keyAsked = true;
    $('create-key').disabled = true;
    try {
      const { secret } = await this.client.unary('AdminService', 'CreateProjectKey', {
        project: this.project, label: 'first event, from the page', environment: 'ENVIRONMENT_DEV',
      });
      $('key').value = secret;
      credentials.keepProjectKey(secret);
      setText($('key-note'), 'It can only send, and it is shown only now: keep it.');
    } catch (error) {
      const denied = error.code === 'PERMISSION_DENIED';
      setText($('key-note'), denied ? 'Your role may not create keys: ask an admin for one and paste it here.' : `No key was created: ${error.message}`);
    } finally {
      $('create-key').disabled = false;
      this.#snippets();
    }
  }

  /** The funnels are other ones, or others are defined now. */
  funnelsChanged() {
    const select = $('event-funnel');
    const wanted = JSON.stringify(this.funnels.all.map((f) => [f.id, f.title]));
    if (select.dataset.shown === wanted && select.options.length > 0) return;
    const kept = select.value || this.funnels.chosen?.id;
    select.dataset.shown = wanted;
    const options = this.funnels.all.map((f) => el('option', { value: f.id, textContent: f.title }));
    select.replaceChildren(...(options.length > 0 ? options : [el('option', { value: '', textContent: 'no funnel yet' })]));
    if (this.funnels.get(kept)) select.value = kept;
    this.#begin();
  }

  get #funnel() {
    return this.funnels.get($('event-funnel').value);
  }

  /** Makes ready for the next event, whoever sends it: an actor of its own, watched for. */
  #begin() {
    const step = this.#funnel?.definition.steps[0];
    const of = this.#funnel?.id ?? '';
    if (this.#named !== of) $('event-name').value = step?.events[0] ?? 'hello';
    this.#named = of;
    this.#watchFor(`first-${randomHex(4)}`);
    this.#snippets();
  }

  #watchFor(actor) {
    this.watch.remove(`first:${this.#actor}`);
    this.#actor = actor;
    this.#journey = new Journey(this.#funnel?.definition ?? null);
    const journey = this.#journey;
    this.watch.add(`first:${actor}`, { events: { names: [], actor } }, {
      events: ([event]) => {
        journey.seen(event);
        this.#draw(journey);
        setTimeout(() => this.#tooLong(journey), COUNT_MS);
      },
    });
  }

  #snippets() {
    const filled = {
      secure: location.protocol === 'https:',
      endpoint: location.port ? location.host : `${location.hostname}:${location.protocol === 'https:' ? 443 : 80}`,
      key: $('key').value.trim() || '<project key>',
      project: this.project,
      name: $('event-name').value,
      actor: this.#actor,
      properties: this.#properties(),
    };
    setText($('snippet-grpcurl'), grpcurl(filled));
    setText($('snippet-rust'), rust(filled));
  }

  #properties() {
    const step = this.#funnel?.definition.steps[0];
    return step?.events.includes($('event-name').value) ? propertiesFor(step) : {};
  }

  /** Sends the event from here, through the API that everyone uses. */
  async #send() {
    const key = $('key').value.trim();
    if (!key) {
      this.#say('Create a project key first, or paste one.', 'bad');
      return;
    }
    if (this.#journey.event) this.#begin();
    const journey = this.#journey;
    this.#say('');
    this.#draw(journey);
    const event = { name: $('event-name').value, time: new Date(), anonymousId: this.#actor, plainProperties: this.#properties() };
    try {
      const { refused } = await this.client.unary('IngestService', 'Ingest', { batchId: uuid(), sentAt: new Date(), events: [event] }, { token: key });
      if (refused.length > 0) this.#refusal(refused[0]);
    } catch (error) {
      this.#refusal({ reason: error.reason || error.code, message: error.message });
    }
    if (!journey.event) this.#draw(journey);
  }

  /** The last refused events, newest first: one sent from a terminal may be among them. */
  refused(events) {
    const [newest] = events;
    if (!$('first-event').open || !newest?.receivedAt || newest.receivedAt <= this.#since || this.#journey.event) return;
    this.#since = newest.receivedAt;
    this.#refusal(newest);
  }

  #refusal({ reason, message }) {
    this.#say(`Refused (${reason}): ${message}`, 'bad');
  }

  delta(funnelId, { watermark }) {
    const journey = this.#journey;
    if (journey.done || journey.funnel?.id !== funnelId || !watermark) return;
    journey.moved(Number(watermark.position), this.header.serverNow());
    if (journey.event) this.#draw(journey);
  }

  #draw(journey) {
    if (journey !== this.#journey) return;
    const { event, storedMs, countedMs } = journey;
    const at = event && new Date(journey.receivedMs);
    stage('received', event && `${clockTime(at)}.${String(at.getMilliseconds()).padStart(3, '0')}`);
    stage('stored', event && `+${span(storedMs)}`);
    stage('counted', countedMs !== null && `+${span(countedMs)}`);
    if (countedMs !== null) this.#say(`“${event.name}” is in ${this.#funnel?.title ?? 'the funnel'}.`, 'good');
    else if (event && !journey.enters) this.#say(`“${event.name}” is stored. ${whyNotCounted(journey)}`, 'good');
  }

  #tooLong(journey) {
    if (journey !== this.#journey || journey.done) return;
    this.#say('It is stored, but the funnel has not moved: are all conditions of its first step met, and is its time in the range?', 'bad');
  }

  #say(text, kind = '') {
    setText($('send-note'), text);
    $('send-note').className = `note ${kind}`;
  }
}

function whyNotCounted({ funnel, event }) {
  if (!funnel) return 'No funnel is defined yet that could count it.';
  const later = funnel.steps.findIndex((step) => step.events.includes(event.name));
  if (later > 0) return `It is step ${later + 1} of ${funnel.title || funnel.id}; this person has not done step 1.`;
  return `It is no step of ${funnel.title || funnel.id}.`;
}

function stage(name, value) {
  const item = document.querySelector(`#journey [data-stage="${name}"]`);
  item.classList.toggle('done', Boolean(value));
  setText(item.querySelector('b'), value || '–');
}

const randomHex = (bytes) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (b) => b.toString(16).padStart(2, '0')).join('');

/** A UUID, version 4. `randomUUID` exists only on https and localhost; this works on any address. */
function uuid() {
  const hex = randomHex(16);
  const variant = (0x8 | (parseInt(hex[16], 16) & 0x3)).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
}
