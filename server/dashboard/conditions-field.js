// What an event has to fulfil: a list of conditions and segments that all have to hold.

import { el } from './dom.js';
import { at, button, select, textInput } from './fields.js';
import { Tokens } from './picker.js';
import { PropertyField } from './property-field.js';

const OPERATORS = [
  ['EQUALS', 'is'], ['NOT_EQUALS', 'is not'], ['CONTAINS', 'contains'], ['PREFIX', 'begins with'], ['GREATER', 'above'], ['GREATER_OR_EQUAL', 'at least'],
  ['LESS', 'below'], ['LESS_OR_EQUAL', 'at most'], ['IS_SET', 'is set'], ['IS_NOT_SET', 'is not set'], ['REGEX', 'matches (RE2)'],
].map(([name, text]) => [`CONDITION_OPERATOR_${name}`, text]);
const ONE_VALUE = /_(GREATER|LESS)(_OR_EQUAL)?$/;
const NO_VALUE = /_IS_(NOT_)?SET$/;

export class ConditionsField {
  #rows = [];
  #list = el('div', { className: 'conditions' });

  /** @param {object} how `catalog`, `parts` to begin with, `events()`, `segments`: those of the project, `entry`: as of a funnel */
  constructor({ catalog, parts, events, segments, entry = false }) {
    Object.assign(this, { catalog, events, segments, entry });
    const add = (part) => {
      const row = this.#add(part);
      row.focus?.();
    };
    const buttons = el('span', { className: 'row' }, button('+ condition', () => add({ condition: { values: [] } })));
    if (segments.length > 0) buttons.append(button('+ segment', () => add({ segmentId: segments[0].id })));
    this.root = el('div', { className: 'conditions-field' }, this.#list, buttons);
    for (const part of parts) this.#add(part);
  }

  /** The parts, without rows that name nothing. */
  get parts() {
    return this.#rows.map((row) => row.part()).filter(Boolean);
  }

  /** Says which field each row is; the rows that are no plain condition share a filter. */
  paths(base) {
    let plain = 0;
    for (const row of this.#rows) {
      at(row.root, row.plain ? `${base}.conditions[${plain}]` : `${base}.filter`);
      if (row.plain) plain += 1;
    }
  }

  #add(part) {
    const row = this.#rowOf(part);
    row.root = el('div', { className: 'condition' }, ...row.nodes, button('×', () => this.#remove(row), { className: 'token-remove', ariaLabel: 'Remove this condition' }));
    if (row.notes) row.root.append(row.notes);
    this.#rows.push(row);
    this.#list.append(row.root);
    return row;
  }

  #remove(row) {
    this.#rows = this.#rows.filter((one) => one !== row);
    row.root.remove();
  }

  #rowOf(part) {
    if (part.condition) return this.#conditionRow(part.condition);
    if (part.segmentId !== undefined) return this.#segmentRow(part.segmentId);
    const text = part.any ? 'at least one of several conditions' : 'what a condition does not say';
    return { nodes: [el('span', { className: 'note', textContent: `${text}, kept as it is` })], part: () => part };
  }

  #segmentRow(id) {
    const choice = select(this.segments.map((one) => [one.id, one.title || one.id]), id, { ariaLabel: 'Segment' });
    return { nodes: [el('span', { textContent: 'in segment' }), choice], part: () => ({ segmentId: choice.value }) };
  }

  #conditionRow(condition) {
    const { catalog, events, entry } = this;
    const property = new PropertyField({ catalog, known: condition, events, label: 'Property', entry });
    const operator = select(OPERATORS, condition.operator, { ariaLabel: 'Comparison' });
    const single = textInput(condition.values[0] ?? '', { ariaLabel: 'Value', placeholder: 'number or time', className: 'small' });
    const several = new Tokens({
      label: 'Values', placeholder: 'value', values: condition.values, suggest: (text) => catalog.values(property.of, property.property, text),
    });
    const draw = () => {
      single.hidden = !ONE_VALUE.test(operator.value);
      several.root.hidden = !single.hidden || NO_VALUE.test(operator.value);
    };
    operator.addEventListener('change', draw);
    draw();
    const values = () => (NO_VALUE.test(operator.value) ? [] : single.hidden ? several.values : [single.value.trim()]);
    return {
      plain: true,
      nodes: [...property.nodes, operator, single, several.root],
      notes: property.warnings,
      focus: () => property.key.input.focus(),
      part: () => (property.property ? { condition: { ...property.message, operator: operator.value, values: values() } } : null),
    };
  }
}
