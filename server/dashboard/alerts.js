// Alerts as they happen: one subscription feeds the badge in the header, the newest alert's toast, and whoever shows incidents.

import { inOrder, isOver, kindText, severityOf, worstOf } from './alert-text.js';
import { $, el, setText } from './dom.js';
import { plural } from './format.js';
import { addressOf, viewOf } from './place.js';

const SUBSCRIPTION = 'alerts';
/** The stream tells all; what ended while no stream could tell (a server with other data) is found by this. */
const LIST_MS = 60_000;
const TOAST_MS = 12_000;
/** What happened longer ago is no news: the incidents that are open come first on every new stream. */
const NEWS_MS = 120_000;
/** Kinds that somebody who looks elsewhere wants to know of. */
const TOLD = new Set(['OPENED', 'ESCALATED', 'RESOLVED', 'REOPENED'].map((kind) => `ALERT_KIND_${kind}`));

export class Alerts {
  #open = new Map();
  #toast = 0;
  /** Counts alerts: a list that was asked for before the last one came says less than it. */
  #taken = 0;

  /** @param {object} on `changed(incident, event)` for whatever happened to an incident */
  constructor(client, project, watch, header, on) {
    Object.assign(this, { client, project, header, on });
    $('incident-badge').href = addressOf(project, 'incidents');
    $('incident-badge').hidden = false;
    this.#draw();
    watch.add(SUBSCRIPTION, { alerts: {} }, { alerts: (alerts) => alerts.forEach((alert) => this.#take(alert)) });
  }

  end() {
    $('incident-badge').hidden = true;
    this.#hush();
  }

  get routines() {
    return [[LIST_MS, () => this.#list(), { asks: true, whenVisible: true }]];
  }

  async #list() {
    const taken = this.#taken;
    const open = await this.client.list('AlertService', 'ListIncidents', 'incidents', { project: this.project, open: true });
    if (taken !== this.#taken) return;
    this.#open = new Map(open.map((one) => [one.id, one]));
    this.#draw();
  }

  /** Those that are not over, the worst first. */
  get open() {
    return inOrder(this.#open.values());
  }

  #take({ event, incident }) {
    this.#taken += 1;
    if (isOver(incident)) this.#open.delete(incident.id);
    else this.#open.set(incident.id, incident);
    this.#draw();
    const since = event.kind === 'ALERT_KIND_OPENED' ? incident.openedAt : event.at;
    if (TOLD.has(event.kind) && this.header.serverNow() - since.getTime() < NEWS_MS) this.#tell(event, incident);
    this.on.changed(incident, event);
  }

  #draw() {
    const open = this.open;
    const badge = $('incident-badge');
    badge.dataset.severity = worstOf(open);
    setText(badge, open.length > 0 ? plural(open.length, 'open incident') : 'Incidents');
  }

  /** Says it for a while, and takes no focus. */
  #tell(event, incident) {
    if (viewOf(location.hash)?.id === incident.id) return; // It is what somebody looks at.
    const link = el('a', { href: addressOf(this.project, 'incidents', incident.id), textContent: incident.summary || incident.title });
    link.addEventListener('click', () => this.#hush());
    const close = el('button', { type: 'button', className: 'quiet', ariaLabel: 'Close', textContent: '×' });
    close.addEventListener('click', () => this.#hush());
    $('toast').dataset.severity = isOver(incident) ? 'over' : severityOf(incident.severity);
    $('toast').replaceChildren(el('span', {}, el('strong', { textContent: `${kindText(event.kind)}: ` }), link), close);
    this.#later();
  }

  /** It goes by itself, but not while somebody is at it. */
  #later() {
    clearTimeout(this.#toast);
    this.#toast = setTimeout(() => ($('toast').matches(':hover, :focus-within') ? this.#later() : this.#hush()), TOAST_MS);
  }

  #hush() {
    clearTimeout(this.#toast);
    $('toast').replaceChildren();
  }
}
