// The form of a funnel: what most need in sight, the rest folded away.

import { el } from './dom.js';
import { duration, grouped, labelled, range, select, textInput } from './fields.js';
import { FunnelOptions } from './funnel-options.js';
import { PropertyField } from './property-field.js';
import { StepsField } from './step-field.js';

const DAY_S = 86_400;
const NEW = {
  steps: [{ label: '', events: [], conditions: [], optional: false }, { label: '', events: [], conditions: [], optional: false }],
  window: DAY_S, range: { last: { count: 7, unit: 'TIME_UNIT_DAY' } },
};
const ORDER = [
  ['FUNNEL_ORDER_ORDERED', 'in this order'], ['FUNNEL_ORDER_STRICT', 'in this order, nothing in between'], ['FUNNEL_ORDER_ANY', 'in any order'],
  ['FUNNEL_ORDER_ANY_AFTER_FIRST', 'the first first, then any order'],
];
const COUNTING = [['FUNNEL_COUNTING_PERSONS', 'persons'], ['FUNNEL_COUNTING_CONVERSIONS', 'every attempt'], ['FUNNEL_COUNTING_SESSIONS', 'sessions'], ['FUNNEL_COUNTING_GROUPS', 'groups of a type']];
const ATTRIBUTION = [
  ['BREAKDOWN_ATTRIBUTION_FIRST_TOUCH', 'at the first step'], ['BREAKDOWN_ATTRIBUTION_LAST_TOUCH', 'at the last step reached'],
  ['BREAKDOWN_ATTRIBUTION_ALL_STEPS', 'the same at all steps'], ['BREAKDOWN_ATTRIBUTION_STEP', 'at step'],
];

export class FunnelForm {
  constructor({ catalog, segments, known }) {
    const funnel = known ?? NEW;
    this.steps = new StepsField({ catalog, segments, steps: funnel.steps });
    const events = () => this.steps.messages.flatMap((step) => step.events);
    this.window = duration('Window', funnel.window, 'window');
    this.range = range('Entries of', funnel.range, 'range');
    this.order = select(ORDER, funnel.order);
    this.counting = select(COUNTING, funnel.counting);
    this.groupType = textInput(funnel.groupType, { placeholder: 'type of the group', ariaLabel: 'Type of the group' });
    this.breakdown = new PropertyField({ catalog, known: funnel.breakdown?.property, events, label: 'Broken down by', changed: () => this.#draw() });
    this.attribution = select(ATTRIBUTION, funnel.breakdown?.attribution, { ariaLabel: 'Which value counts' });
    this.attributionStep = el('input', { type: 'number', min: '1', max: '20', step: '1', value: funnel.breakdown?.attributionStep || 1, ariaLabel: 'Step', className: 'small' });
    this.options = new FunnelOptions({ catalog, segments, known: funnel, events });
    this.options.changed = () => this.#draw();
    this.#build();
  }

  #build() {
    const folded = el('details', {}, el('summary', { textContent: 'Advanced' }), this.options.root);
    folded.open = this.options.used;
    this.orderField = labelled('Steps are done', this.order, 'order');
    this.countingField = grouped('Count', 'counting', el('span', { className: 'pair' }, this.counting, this.groupType));
    this.root = el('div', { className: 'fields' }, grouped('Steps', '', this.steps.root),
      el('div', { className: 'two' }, this.window.root, this.range.root, this.orderField, this.countingField),
      grouped('Broken down by', 'breakdown', el('span', { className: 'condition' }, ...this.breakdown.nodes, this.attribution, this.attributionStep, this.breakdown.warnings)),
      folded);
    for (const node of [this.counting, this.attribution, this.breakdown.key.input]) node.addEventListener('change', () => this.#draw());
    this.#draw();
  }

  #draw() {
    this.groupType.hidden = !this.counting.value.endsWith('GROUPS');
    this.attribution.hidden = !this.breakdown.property;
    this.attributionStep.hidden = this.attribution.hidden || !this.attribution.value.endsWith('_STEP');
    this.orderField.hidden = this.options.clickhouse;
    this.countingField.hidden = this.options.clickhouse;
  }

  paths() {
    this.steps.paths();
    this.options.paths();
  }

  get message() {
    const rules = this.options.clickhouse ? { order: undefined, counting: undefined, groupType: '' } : { order: this.order.value, counting: this.counting.value, groupType: this.groupType.hidden ? '' : this.groupType.value.trim() };
    return { steps: this.steps.messages, window: this.window.seconds, range: this.range.message, ...rules, ...this.options.message, breakdown: this.#breakdown };
  }

  get #breakdown() {
    const property = this.breakdown.message;
    if (!property) return undefined;
    const ofStep = this.attribution.value.endsWith('_STEP');
    return { property, attribution: this.attribution.value, attributionStep: ofStep ? Number(this.attributionStep.value) : 0 };
  }
}
