// The form of an alert rule: which metric, what a problem is, and who looks after it. What it does not know stays as it was.

import { DestinationsField } from './destinations-field.js';
import { el } from './dom.js';
import { at, checkbox, duration, grouped, labelled, select, textInput } from './fields.js';
import { natureOf, unitFor } from './measure.js';
import { PropertyField } from './property-field.js';
import { AGAINST, DIRECTIONS, EVERY } from './rule-text.js';
import { Simulation } from './simulation.js';

const CONDITIONS = [
  ['threshold', 'a bound is crossed'], ['change', 'it differs from an earlier bucket'], ['anomaly', 'it is unusual'], ['noData', 'nothing comes any more'],
];
const SEVERITIES = [['CRITICAL', 'critical: somebody has to look now'], ['WARNING', 'warning: somebody should look today'], ['INFO', 'info: good to know']]
  .map(([name, text]) => [`ALERT_SEVERITY_${name}`, text]);

/** Of the kinds of conditions one is set. */
const NOTHING = { threshold: undefined, change: undefined, anomaly: undefined, noData: undefined };

const numberInput = (value, properties = {}) => el('input', { type: 'number', step: 'any', value: value === undefined ? '' : String(value), ...properties });
const numberOf = (input) => (input.value === '' ? undefined : Number(input.value));

/** What a rule waits where it names no delay, and how many values it watches where it names no number: the server's own. */
const USUAL_DELAY = 60;
const USUAL_TOP = 20;

/** Events that a metric names; none where it is of all, or of something else. */
const eventsOf = (metric) => [metric?.events, metric?.ratio?.numerator, metric?.ratio?.denominator].flatMap((term) => term?.events ?? []);

export class RuleForm {
  /**
   * @param {object} how `metrics`: those that can be watched; `destinations`: those that can be told; `catalog`; `whole()`: the rule with what the
   *   form does not know; `client`, `project`, `times`
   */
  constructor({ known = {}, metrics, destinations, catalog, whole, ...simulation }) {
    this.metrics = metrics;
    this.metric = select(metrics.map((one) => [one.id, one.title || one.id]), known.metricId ?? '');
    this.condition = select(CONDITIONS, CONDITIONS.find(([name]) => known[name])?.[0] ?? 'threshold');
    this.above = numberInput(known.threshold?.above);
    this.below = numberInput(known.threshold?.below);
    this.against = select(AGAINST, known.change?.against ?? '');
    this.up = numberInput(known.change?.upPercent, { min: '0' });
    this.down = numberInput(known.change?.downPercent, { min: '0', max: '100' });
    this.direction = select(DIRECTIONS, known.anomaly?.direction ?? '');
    this.rate = numberInput(known.anomaly?.falseAlertsPerMonth || 1, { min: '0.01', max: '100' });
    this.every = select(EVERY, known.every ?? '');
    this.forBuckets = numberInput(known.forBuckets || 1, { min: '1', max: '100', step: '1' });
    this.severity = select(SEVERITIES, known.severity ?? 'ALERT_SEVERITY_WARNING');
    if (this.severity.value !== known.severity) this.severity.value = 'ALERT_SEVERITY_WARNING';
    this.minVolume = numberInput(Number(known.minVolume ?? 0), { min: '0', step: '1' });
    this.owner = textInput(known.owner);
    this.runbook = textInput(known.runbook, { type: 'url', placeholder: 'https://' });
    this.destinations = new DestinationsField(destinations, known.destinations);
    this.breakdown = new PropertyField({ catalog, known: known.breakdown, events: () => eventsOf(this.#metric), label: 'Each value of' });
    this.top = numberInput(known.top || USUAL_TOP, { min: '1', max: '100', step: '1' });
    this.delay = duration('Judged so long after the end', known.delay ?? USUAL_DELAY, 'delay');
    this.cooldown = duration('After it is over, nobody is told again for', known.cooldown, 'cooldown');
    this.on = checkbox('Switched on: it judges, and tells of what it finds', !known.disabled);
    const unit = (number) => unitFor(natureOf(this.#metric ?? {}).unit, { number });
    this.simulation = new Simulation({ ...simulation, unit, rule: () => ({ ...whole(), disabled: false }) });
    this.#build();
  }

  get #metric() {
    return this.metrics.find((one) => one.id === this.metric.value);
  }

  /** Whether the metric can be broken down by a rule: those of events can. */
  get #isOfEvents() {
    return Boolean(this.#metric?.events || this.#metric?.ratio);
  }

  #build() {
    const shares = 'In the metric’s own unit: 0.2 is 20 % of a share. One of the two, or both.';
    this.parts = {
      threshold: at(el('div', {}, pair(labelled('A problem above', this.above), labelled('A problem below', this.below)), note(shares)), 'threshold'),
      change: at(el('div', { className: 'fields' }, labelled('Compared with', this.against, 'change.against'),
        pair(labelled('A problem if so many per cent more', this.up), labelled('A problem if so many per cent less', this.down))), 'change'),
      anomaly: at(pair(labelled('Which way', this.direction), labelled('False alerts a month that are acceptable, for each series', this.rate)), 'anomaly'),
      noData: at(el('div', {}, note('No event, session or person that the metric counts.')), 'no_data'),
    };
    this.values = el('div', { className: 'fields' },
      grouped('Watched for each value of', 'breakdown', el('span', { className: 'condition' }, ...this.breakdown.nodes, this.breakdown.warnings),
        note('Left empty, the metric as it is.')),
      labelled('So many values, the largest first', this.top, 'top'));
    const waits = el('details', {}, el('summary', { textContent: 'Advanced' }),
      el('div', { className: 'fields' }, this.values, pair(this.delay.root, this.cooldown.root),
        note('Events come late: phones send within half a minute. A cooldown is 31 days at most.')));
    waits.open = Boolean(this.breakdown.property || this.cooldown.seconds || this.delay.seconds !== USUAL_DELAY);
    const first = this.metrics.length > 0 ? '' : note('There is no metric yet: make one on the page of numbers first.');
    this.root = el('div', { className: 'fields' },
      grouped('Metric', 'metric_id', this.metric, first), labelled('It is a problem if', this.condition, 'condition'), ...Object.values(this.parts),
      pair(labelled('Judged every', this.every, 'every'), labelled('So many in a row', this.forBuckets, 'for_buckets')),
      pair(labelled('How bad it is', this.severity, 'severity'), labelled('Not judged if made of fewer', this.minVolume, 'min_volume')),
      this.destinations.root,
      pair(labelled('Owner', this.owner, 'owner'), labelled('Link to what is to be done', this.runbook, 'runbook')),
      waits, at(this.on.root, 'disabled'), this.simulation.root);
    this.metric.ariaLabel = 'Metric';
    for (const node of [this.condition, this.metric]) node.addEventListener('change', () => this.#draw());
    this.root.addEventListener('input', (event) => { if (!this.simulation.root.contains(event.target)) this.simulation.forget(); });
    this.#draw();
  }

  #draw() {
    for (const [name, part] of Object.entries(this.parts)) part.hidden = name !== this.condition.value;
    this.values.hidden = !this.#isOfEvents;
  }

  end() {
    this.simulation.forget();
  }

  paths() {} // Its fields never move.

  get message() {
    return {
      ...NOTHING, ...this.#problem, metricId: this.metric.value, every: this.every.value, forBuckets: numberOf(this.forBuckets) ?? 0,
      severity: this.severity.value, minVolume: numberOf(this.minVolume) ?? 0, owner: this.owner.value.trim(), runbook: this.runbook.value.trim(),
      destinations: this.destinations.message, ...this.#watched, delay: this.delay.seconds, cooldown: this.cooldown.seconds,
      disabled: !this.on.input.checked,
    };
  }

  /** How many values count only where there are some. */
  get #watched() {
    const breakdown = this.#isOfEvents ? this.breakdown.message : undefined;
    return { breakdown, top: breakdown ? numberOf(this.top) ?? 0 : 0 };
  }

  get #problem() {
    switch (this.condition.value) {
      case 'change': return { change: { against: this.against.value, upPercent: numberOf(this.up), downPercent: numberOf(this.down) } };
      case 'anomaly': return { anomaly: { direction: this.direction.value, falseAlertsPerMonth: numberOf(this.rate) ?? 0 } };
      case 'noData': return { noData: {} };
      default: return { threshold: { above: numberOf(this.above), below: numberOf(this.below) } };
    }
  }
}

const pair = (...fields) => el('div', { className: 'two' }, ...fields);
const note = (text) => el('span', { className: 'note', textContent: text });
