// What an alert rule would have sent over the last days: asked of the server before the rule is switched on.

import { driverParts, kindText, valueText } from './alert-text.js';
import { el, setText } from './dom.js';
import { button } from './fields.js';
import { elapsed, plural } from './format.js';
import { bucketText } from './incident-chart.js';
import { numberText } from './measure.js';

const DAYS = 30;
/** A rule by the minute is run over fewer. */
const DAYS_BY_MINUTE = 6;
/** So many of what it would have sent are named, the newest first. */
const NAMED = 100;
/** The server needs an id; a rule that has none yet is not kept. */
const NAMELESS = 'simulated';

/** What a simulation of a rule found, in words. A rate is said only where the server tells one: a few hours say nothing of a month. */
export function summaryText({ buckets, series, incidents, alerts, alertsPerSeriesAndMonth, learning, tooLittle, missing, span }, days) {
  if (Number(buckets) === 0) return `In the last ${days} days there was nothing to judge.`;
  const part = span < 0.99 * days * 86_400 ? `${elapsed(span)} of history in the last ${days} days` : `The last ${days} days`;
  const over = `${part}, ${plural(buckets, 'bucket')} of ${plural(series, 'series', 'series')}`;
  const unjudged = [[learning, 'it did not know enough yet'], [tooLittle, 'there was too little, or nothing to compare with'], [missing, 'the project had no event']];
  const why = unjudged.map(([count, what]) => (Number(count) > 0 ? ` In ${plural(count, 'bucket')} ${what}.` : '')).join('');
  if (unjudged.reduce((sum, [count]) => sum + Number(count), 0) === Number(buckets)) return `${over}: nothing could be judged.${why}`;
  if (Number(alerts) === 0) return `${over}: it would have sent nothing.${why}`;
  const rate = alertsPerSeriesAndMonth;
  const month = rate === undefined ? '' : `; ${numberText(Number(rate.toFixed(1)), 'number')} incidents a month for each series`;
  return `${over}: ${plural(incidents, 'incident')}, ${plural(alerts, 'message')}${month}.${why}`;
}

export class Simulation {
  #abort = null;
  #progress = el('progress', { max: 100, hidden: true, ariaLabel: 'Progress of the simulation' });
  #note = el('span', { className: 'note' });
  #list = el('ol', { className: 'feed simulated', tabIndex: 0, ariaLabel: 'What it would have sent, newest first', hidden: true });

  /** @param {object} how `rule()`: the rule as it stands in the form; `unit(number)`: how a number of its metric is read; `times` */
  constructor({ client, project, times, rule, unit }) {
    Object.assign(this, { client, project, times, rule, unit });
    this.start = button('Simulate', () => this.#run());
    this.#note.role = 'status';
    this.root = el('div', { className: 'field', role: 'group', ariaLabel: 'Simulation' },
      el('div', { className: 'row' }, this.start, this.#progress, this.#note), this.#list);
    this.forget();
  }

  /** The rule is another one now: what was found is not about it. */
  forget() {
    this.#abort?.abort();
    this.#abort = null;
    this.#progress.hidden = true;
    this.#list.hidden = true;
    this.#note.className = 'note';
    setText(this.#note, 'shows what it would have sent over the last days, before anybody is told anything');
  }

  async #run() {
    this.forget();
    const abort = new AbortController();
    this.#abort = abort;
    const rule = this.rule();
    const days = rule.every === 'METRIC_BUCKET_UNIT_MINUTE' ? DAYS_BY_MINUTE : DAYS;
    const request = { project: this.project, alertRule: { ...rule, id: rule.id || NAMELESS }, range: { last: { count: days, unit: 'TIME_UNIT_DAY' } } };
    const found = { alerts: [], summary: null };
    this.#progress.value = 0;
    this.#progress.hidden = false;
    setText(this.#note, 'is running …');
    try {
      await this.client.stream('AlertService', 'SimulateAlertRule', request, (message) => this.#take(message, found), abort.signal);
      if (abort === this.#abort) this.#show(found, days);
    } catch (error) {
      if (abort === this.#abort) this.#fail(error);
    } finally {
      if (abort === this.#abort) this.#progress.hidden = true;
    }
  }

  #take({ percent, alert, summary }, found) {
    if (percent !== undefined) this.#progress.value = percent;
    if (alert) found.alerts = [...found.alerts.slice(1 - NAMED), alert];
    if (summary) found.summary = summary;
  }

  #show({ alerts, summary }, days) {
    setText(this.#note, summary ? summaryText(summary, days) : 'The server said nothing of what it found.');
    this.#list.hidden = alerts.length === 0;
    this.#list.replaceChildren(...alerts.reverse().map((alert) => this.#item(alert)));
  }

  #item({ kind, value, at, judgement, drivers = [] }) {
    const name = valueText(value);
    const unit = this.unit(judgement?.number ?? 0);
    const behind = drivers.map((driver) => driverParts(driver, unit)).map((driver) => `${driver.name} (${driver.share})`);
    return el('li', {},
      el('time', { textContent: this.times.dayAndClock.format(at) }),
      el('span', {}, el('strong', { textContent: kindText(kind) }), name ? ` ${name}` : ''),
      el('small', { textContent: judgement ? bucketText(judgement, unit, this.times) : '' }),
      behind.length > 0 ? el('small', { textContent: `Likely behind it: ${behind.join(', ')}` }) : '');
  }

  #fail(error) {
    if (!error.code) console.error(error);
    this.#note.className = 'note bad';
    setText(this.#note, `It cannot be simulated: ${error.message}`);
  }
}
