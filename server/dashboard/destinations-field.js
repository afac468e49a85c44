// Chooses which destinations are told: one box for each that the project has.

import { severityOf } from './alert-text.js';
import { el } from './dom.js';
import { checkbox, grouped } from './fields.js';

const KINDS = { webhook: 'webhook', alertmanager: 'Alertmanager', pagerDuty: 'PagerDuty', email: 'email' };
const NONE = 'There is none yet: an admin adds one with “footpath destinations add”. This page and whoever watches are told in any case.';

/** A destination in words: its name, what it is, and from how bad an alert on it is told. */
export function destinationText({ id, title, minSeverity, ...kinds }) {
  const kind = Object.keys(KINDS).find((name) => kinds[name]);
  const slack = kinds.webhook?.shape === 'WEBHOOK_SHAPE_SLACK';
  const least = minSeverity && minSeverity !== 'ALERT_SEVERITY_UNSPECIFIED' && severityOf(minSeverity) !== 'info' ? `from ${severityOf(minSeverity)} on` : '';
  return [title || id, slack ? 'Slack' : KINDS[kind], least].filter(Boolean).join(', ');
}

export class DestinationsField {
  /** @param {object[]} all those of the project; @param {string[]} chosen their ids */
  constructor(all, chosen = []) {
    this.boxes = all.map((one) => ({ id: one.id, ...checkbox(destinationText(one), chosen.includes(one.id)) }));
    const none = el('span', { className: 'note', textContent: NONE });
    this.root = grouped('Who is told', 'destinations', ...(all.length > 0 ? this.boxes.map(({ root }) => root) : [none]));
  }

  /** The ids of those that are chosen. */
  get message() {
    return this.boxes.filter(({ input }) => input.checked).map(({ id }) => id);
  }
}
