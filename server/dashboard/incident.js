// One incident: reads it with its story, its series and its metric, and reads them again when something happens to it.

import { $, setText, throttled } from './dom.js';
import { IncidentActs } from './incident-acts.js';
import { PIPELINE } from './incident-chart.js';
import { IncidentView } from './incident-view.js';

const LOOK_MS = 15_000;
const AGAIN_MS = 300;

export class Incident {
  #id = '';
  /** Counts readings: an answer for an earlier one is dropped. */
  #round = 0;
  #view;
  #acts;
  #again = throttled(AGAIN_MS, () => this.#read());

  /** @param {boolean} may whether this role changes incidents */
  constructor(client, project, times, header, may) {
    Object.assign(this, { client, project, header });
    this.#view = new IncidentView(project, times, header);
    this.#acts = new IncidentActs(client, project, header, may, () => this.#again());
  }

  get routines() {
    return [[LOOK_MS, () => this.#read(), { asks: true, whenVisible: true }]];
  }

  open(id) {
    this.#id = id;
    $('incident-known').hidden = true;
    $('incident-busy').hidden = false;
    setText($('incident-error'), '');
    this.#acts.forget();
    this.#read();
  }

  close() {
    this.#id = '';
    this.#round += 1;
  }

  /** Something happened to an incident. */
  take(incident) {
    if (incident.id === this.#id) this.#again();
  }

  async #read() {
    const id = this.#id;
    if (!id) return;
    this.#round += 1;
    const round = this.#round;
    try {
      const { incident, events } = await this.client.unary('AlertService', 'GetIncident', { project: this.project, incidentId: id });
      const [series, metric] = await Promise.all([this.#series(incident), this.#metric(incident)]);
      if (round !== this.#round) return;
      $('incident-known').hidden = false;
      setText($('incident-error'), '');
      this.#view.draw({ incident, events, series, metric });
      this.#acts.draw(incident);
    } catch (error) {
      if (round === this.#round) this.#fail(error);
    }
    if (round === this.#round) $('incident-busy').hidden = true;
  }

  /** How its series stands; null once its rule is gone or where it is of many. */
  async #series({ alertRuleId, value }) {
    if (alertRuleId === PIPELINE) return null;
    const answer = await this.#known('AlertService', 'ListAlertSeries', { alertRuleId });
    return answer?.series.find((one) => JSON.stringify(one.value) === JSON.stringify(value)) ?? null;
  }

  /** Its metric, which says how numbers are read; null once it is gone. */
  async #metric({ metricId }) {
    if (!metricId) return null;
    return (await this.#known('DefinitionService', 'GetMetric', { metricId }))?.metric ?? null;
  }

  /** An answer, or null where there is no such thing. */
  async #known(service, method, request) {
    try {
      return await this.client.unary(service, method, { project: this.project, ...request });
    } catch (error) {
      if (error.code === 'NOT_FOUND' || error.code === 'INVALID_ARGUMENT') return null;
      throw error;
    }
  }

  #fail(error) {
    if (!error.code) console.error(error);
    const gone = error.code === 'NOT_FOUND' ? 'There is no such incident in this project; “Incidents” lists those there are.' : '';
    setText($('incident-error'), gone || `The incident cannot be read: ${error.message}.`);
  }
}
