// The list of incidents: those that go on first, then what is over, page by page.

import { inOrder, isMuted, isOver, lastedText, severityOf, stateText, valueText } from './alert-text.js';
import { $, el, setText, throttled } from './dom.js';
import { addressOf } from './place.js';

const PAGE = 50;
const DRAW_MS = 200;
/** "For 3 min" has to grow. */
const TICK_MS = 10_000;

export class Incidents {
  #known = new Map();
  #next = '';
  #shown = false;
  /** Counts openings: an answer for an earlier one is dropped. */
  #round = 0;
  #redraw = throttled(DRAW_MS, () => this.#draw());

  constructor(client, project, times, header) {
    Object.assign(this, { client, project, times, header });
    $('incidents-more').onclick = () => this.#more();
  }

  get routines() {
    return [[TICK_MS, () => { if (this.#shown) this.#draw(); }]];
  }

  async open() {
    this.#shown = true;
    this.#round += 1;
    const round = this.#round;
    setText($('incidents-error'), '');
    $('incidents-busy').hidden = this.#known.size > 0;
    try {
      const [open, page] = await Promise.all([
        this.client.list('AlertService', 'ListIncidents', 'incidents', { project: this.project, open: true }), this.#page(''),
      ]);
      if (round !== this.#round) return;
      this.#known = new Map([...page.incidents, ...open].map((one) => [one.id, one]));
      this.#next = page.nextPageToken;
    } catch (error) {
      if (round !== this.#round) return;
      this.#fail(error);
    }
    $('incidents-busy').hidden = true;
    this.#draw();
  }

  close() {
    this.#shown = false;
    this.#round += 1;
  }

  /** An incident as it now stands. */
  take(incident) {
    this.#known.set(incident.id, incident);
    if (this.#shown) this.#redraw();
  }

  #page(pageToken) {
    return this.client.unary('AlertService', 'ListIncidents', { project: this.project, pageSize: PAGE, pageToken });
  }

  async #more() {
    const round = this.#round;
    $('incidents-more').disabled = true;
    try {
      const page = await this.#page(this.#next);
      if (round !== this.#round) return;
      for (const one of page.incidents) if (!this.#known.has(one.id)) this.#known.set(one.id, one);
      this.#next = page.nextPageToken;
      this.#draw();
    } catch (error) {
      if (round === this.#round) this.#fail(error);
    } finally {
      $('incidents-more').disabled = false;
    }
  }

  #fail(error) {
    if (!error.code) console.error(error);
    setText($('incidents-error'), `The incidents cannot be read: ${error.message}.`);
  }

  #draw() {
    const all = inOrder(this.#known.values());
    const [open, past] = [all.filter((one) => !isOver(one)), all.filter(isOver)];
    this.#fill($('open-incidents'), open);
    this.#fill($('past-incidents'), past);
    const known = $('incidents-busy').hidden && !$('incidents-error').textContent;
    $('no-open-incidents').hidden = open.length > 0 || !known;
    $('no-past-incidents').hidden = past.length > 0 || !known;
    $('incidents-more').hidden = !this.#next;
  }

  #fill(list, incidents) {
    const focused = list.querySelector('a:focus')?.getAttribute('href');
    list.replaceChildren(...incidents.map((one) => this.#row(one)));
    if (focused) list.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  }

  #row(incident) {
    const link = el('a', { href: addressOf(this.project, 'incidents', incident.id), textContent: titleText(incident) });
    return el('li', {},
      el('div', { className: 'row' }, severityMark(incident), link),
      el('p', { className: 'summary', textContent: incident.summary }),
      el('p', { className: 'note facts', textContent: this.#facts(incident).join(' · ') }));
  }

  #facts(incident) {
    const now = this.header.serverNow();
    const lasted = `${isOver(incident) ? 'lasted' : 'for'} ${lastedText(incident, now)}`;
    const muted = isMuted(incident.mutedUntil, now) ? `muted until ${this.times.moment(incident.mutedUntil)}` : '';
    return [`since ${this.times.moment(incident.from)}`, lasted, isOver(incident) ? '' : stateText(incident), muted, incident.owner && `owner ${incident.owner}`].filter(Boolean);
  }
}

/** The rule's title, and the value of the breakdown that it is about. */
export function titleText(incident) {
  const value = valueText(incident.value);
  return value ? `${incident.title || incident.alertRuleId}: ${value}` : incident.title || incident.alertRuleId;
}

/** How bad it is; of what is over, that it is. */
export function severityMark(incident) {
  const name = severityOf(incident.severity);
  const node = el('span', { className: 'severity', textContent: isOver(incident) ? `${name}, over` : name });
  node.dataset.severity = isOver(incident) ? 'over' : name;
  return node;
}
