// The form of a metric: of events, a ratio, of sessions, or a funnel's conversion.

import { numbersOf } from './definition.js';
import { el } from './dom.js';
import { checkbox, grouped, labelled, select, textInput } from './fields.js';
import { PropertyField } from './property-field.js';
import { TermField, USUAL_PERCENTILES } from './term-field.js';

const MEASURES = [['events', 'events'], ['ratio', 'one number over another'], ['sessions', 'sessions'], ['conversion', 'the conversion of a funnel']];
const SESSIONS = [
  ['COUNT', 'how many began'], ['UNIQUE_PERSONS', 'how many persons'], ['BOUNCE_RATE', 'bounce rate'], ['AVERAGE_DURATION', 'average length'],
  ['DURATION_PERCENTILES', 'percentiles of the length'], ['AVERAGE_EVENTS', 'events a session'],
].map(([name, text]) => [`SESSION_AGGREGATE_${name}`, text]);
const SESSION_ROWS = [['', 'nothing'], ['entry_event', 'the first event'], ['exit_event', 'the last event']];

/** Of the kinds of measures one is set. */
const NOTHING = { events: undefined, ratio: undefined, sessions: undefined, conversion: undefined };

export class MetricForm {
  /** @param {object} how `funnels`: those whose conversion can be measured */
  constructor({ catalog, segments, known = {}, funnels }) {
    this.funnels = funnels;
    const term = (path, title, own, percentiles) => new TermField({ catalog, segments, known: own, path, title, percentiles });
    const measures = MEASURES.filter(([name]) => name !== 'conversion' || funnels.length > 0);
    this.measure = select(measures, MEASURES.find(([name]) => known[name])?.[0] ?? 'events');
    this.events = term('events', 'Number', known.events, true);
    this.numerator = term('ratio.numerator', 'Number above', known.ratio?.numerator, false);
    this.denominator = term('ratio.denominator', 'Number below', known.ratio?.denominator, false);
    this.sessions = select(SESSIONS, known.sessions?.aggregate);
    this.percentiles = textInput(known.sessions?.percentiles.join(', ') || USUAL_PERCENTILES, { ariaLabel: 'Percentiles', className: 'small' });
    this.funnel = select(funnels.map((one) => [one.id, one.title]), known.conversion?.funnelId);
    this.step = select([], '');
    this.drawSteps(known.conversion?.step ?? 0);
    const events = () => this.#terms.flatMap((one) => one.message.events);
    this.breakdown = new PropertyField({ catalog, known: known.breakdown, events, label: 'Broken down by' });
    this.sessionRows = select(SESSION_ROWS, known.breakdown?.property ?? '', { ariaLabel: 'Broken down by' });
    this.internal = checkbox('Count internal traffic and bots too', known.includeInternal ?? false);
    this.#build();
  }

  get #terms() {
    return { events: [this.events], ratio: [this.numerator, this.denominator] }[this.measure.value] ?? [];
  }

  #build() {
    this.parts = {
      events: this.events.root,
      ratio: el('div', { className: 'fields' }, this.numerator.root, this.denominator.root),
      sessions: grouped('Number', 'sessions', el('span', { className: 'pair' }, this.sessions, this.percentiles)),
      conversion: el('div', { className: 'two' }, labelled('Funnel', this.funnel, 'conversion.funnel_id'), labelled('Up to', this.step, 'conversion.step')),
    };
    this.properties = el('span', { className: 'condition' }, ...this.breakdown.nodes, this.breakdown.warnings);
    this.rows = grouped('Broken down by', 'breakdown', this.properties, this.sessionRows);
    const folded = el('details', {}, el('summary', { textContent: 'Advanced' }), this.internal.root);
    folded.open = this.internal.input.checked;
    this.root = el('div', { className: 'fields' }, labelled('What is measured', this.measure, 'measure'), ...Object.values(this.parts), this.rows, folded);
    for (const node of [this.measure, this.sessions]) node.addEventListener('change', () => this.#draw());
    this.funnel.addEventListener('change', () => this.drawSteps(0));
    this.#draw();
  }

  #draw() {
    const measure = this.measure.value;
    for (const [name, part] of Object.entries(this.parts)) part.hidden = name !== measure;
    this.percentiles.hidden = !this.sessions.value.endsWith('PERCENTILES');
    this.rows.hidden = measure === 'conversion';
    this.properties.hidden = measure === 'sessions';
    this.sessionRows.hidden = measure !== 'sessions';
  }

  /** The steps of the chosen funnel that a conversion can reach. */
  drawSteps(chosen) {
    const labels = this.funnels.find((one) => one.id === this.funnel.value)?.labels ?? [];
    const steps = labels.map((label, i) => [String(i + 1), `${i + 1} ${label}`]).slice(1);
    this.step.replaceChildren(...[['0', 'the last step'], ...steps].map(([value, textContent]) => el('option', { value, textContent })));
    this.step.value = String(chosen);
  }

  paths() {
    for (const term of this.#terms) term.paths();
  }

  get message() {
    return { ...NOTHING, ...this.#measured, breakdown: this.#breakdown, includeInternal: this.internal.input.checked };
  }

  get #measured() {
    switch (this.measure.value) {
      case 'ratio': return { ratio: { numerator: this.numerator.message, denominator: this.denominator.message } };
      case 'sessions': return { sessions: { aggregate: this.sessions.value, percentiles: this.percentiles.hidden ? [] : numbersOf(this.percentiles.value) } };
      case 'conversion': return { conversion: { funnelId: this.funnel.value, step: Number(this.step.value) } };
      default: return { events: this.events.message };
    }
  }

  get #breakdown() {
    if (this.measure.value === 'conversion') return undefined;
    if (this.measure.value !== 'sessions') return this.breakdown.message;
    return this.sessionRows.value ? { property: this.sessionRows.value } : undefined;
  }
}
