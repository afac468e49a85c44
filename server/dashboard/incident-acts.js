// What can be done to an incident, for those who may.

import { isMuted, isOver } from './alert-text.js';
import { $, setText } from './dom.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export class IncidentActs {
  #incident = null;
  /** Whether somebody is writing an owner: what comes from the server does not write over it. */
  #typed = false;

  /** @param {() => void} changed is called once the server did something */
  constructor(client, project, header, may, changed) {
    Object.assign(this, { client, project, header, changed });
    $('incident-may-not').hidden = may;
    $('incident-acts').hidden = !may;
    $('incident-acknowledge').onclick = () => this.#change({ acknowledge: {} });
    $('incident-resolve').onclick = () => this.#change({ resolve: {} });
    $('incident-mute-hour').onclick = () => this.#mute(HOUR_MS);
    $('incident-mute-day').onclick = () => this.#mute(DAY_MS);
    $('incident-unmute').onclick = () => this.#mute(-1);
    $('incident-owner').oninput = () => { this.#typed = true; };
    $('incident-say').onsubmit = (event) => this.#say(event);
    $('incident-assign').onsubmit = (event) => this.#assign(event);
  }

  /** Another incident: nothing was typed about it yet. */
  forget() {
    this.#incident = null;
    this.#typed = false;
    $('incident-text').value = '';
    setText($('incident-refused'), '');
  }

  draw(incident) {
    this.#incident = incident;
    const over = isOver(incident);
    const muted = isMuted(incident.mutedUntil, this.header.serverNow());
    $('incident-acknowledge').hidden = incident.state !== 'INCIDENT_STATE_OPEN';
    $('incident-resolve').hidden = over;
    $('incident-mute-hour').hidden = over || muted;
    $('incident-mute-day').hidden = over || muted;
    $('incident-unmute').hidden = over || !muted;
    if (!this.#typed) $('incident-owner').value = incident.owner;
  }

  async #say(event) {
    event.preventDefault();
    const text = $('incident-text').value.trim();
    if (!text) return;
    const done = event.submitter?.value === 'action' ? { action: { text } } : { comment: text };
    if (await this.#change(done)) $('incident-text').value = '';
  }

  async #assign(event) {
    event.preventDefault();
    this.#typed = !(await this.#change({ owner: $('incident-owner').value.trim() }));
  }

  #mute(ms) {
    return this.#change({ muteUntil: new Date(this.header.serverNow() + ms) });
  }

  /** True if the server did it. */
  async #change(change) {
    const request = { project: this.project, incidentId: this.#incident.id, ...change };
    setText($('incident-refused'), '');
    this.#busy(true);
    try {
      const { incident } = await this.client.unary('AlertService', 'ChangeIncident', request);
      if (incident.id === this.#incident?.id) this.draw(incident);
      this.changed();
      return true;
    } catch (error) {
      if (!error.code) console.error(error);
      setText($('incident-refused'), `That was not done: ${error.message}.`);
      return false;
    } finally {
      this.#busy(false);
    }
  }

  #busy(busy) {
    for (const button of $('incident-acts').querySelectorAll('button')) button.disabled = busy;
  }
}
