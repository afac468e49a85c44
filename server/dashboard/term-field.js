// A term of a metric: which events, what is made of them, of which property, under which conditions.

import { ConditionsField } from './conditions-field.js';
import { filterOf, numbersOf, partsOf } from './definition.js';
import { el } from './dom.js';
import { at, grouped, labelled, select, textInput } from './fields.js';
import { Tokens } from './picker.js';
import { PropertyField } from './property-field.js';

const AGGREGATES = [
  ['COUNT', 'how many events'], ['UNIQUE_PERSONS', 'how many persons'], ['SUM', 'sum of'], ['AVERAGE', 'average of'], ['MIN', 'smallest'], ['MAX', 'largest'],
  ['PERCENTILES', 'percentiles of'],
].map(([name, text]) => [`METRIC_AGGREGATE_${name}`, text]);
export const USUAL_PERCENTILES = '50, 90, 99';

export class TermField {
  /** @param {string} path the term's field in the API; `percentiles`: whether those can be asked for */
  constructor({ catalog, segments, known = { events: [], percentiles: [] }, path, title, percentiles = true }) {
    this.path = path;
    this.aggregate = select(percentiles ? AGGREGATES : AGGREGATES.slice(0, -1), known.aggregate, { ariaLabel: `${title}: what` });
    const unseen = (name) => catalog.unseenEvent(name);
    this.events = new Tokens({ label: `${title}: events`, placeholder: 'all events', values: known.events, suggest: (text) => catalog.events(text), unseen });
    const events = () => this.events.values;
    this.property = new PropertyField({ catalog, known: { property: known.property }, events, label: `${title}: property`, numeric: true, eventOnly: true });
    this.percentiles = textInput(known.percentiles.join(', ') || USUAL_PERCENTILES, { ariaLabel: `${title}: percentiles`, className: 'small' });
    this.conditions = new ConditionsField({ catalog, segments, parts: partsOf(known.filter), events });
    const folded = el('details', {}, el('summary', { textContent: 'Conditions' }), this.conditions.root);
    folded.open = this.conditions.parts.length > 0;
    this.propertyField = el('span', { className: 'condition' }, this.property.key.root, this.percentiles, this.property.warnings);
    this.root = at(el('div', { className: 'fields term', role: 'group', ariaLabel: title },
      el('div', { className: 'two' }, labelled(title, this.aggregate, `${path}.aggregate`), this.propertyField),
      grouped('Of events', `${path}.events`, this.events.root), folded), path);
    this.aggregate.addEventListener('change', () => this.#draw());
    this.#draw();
  }

  get #needsProperty() {
    return !/_(COUNT|UNIQUE_PERSONS)$/.test(this.aggregate.value);
  }

  get #needsPercentiles() {
    return this.aggregate.value.endsWith('PERCENTILES');
  }

  #draw() {
    this.propertyField.hidden = !this.#needsProperty;
    this.percentiles.hidden = !this.#needsPercentiles;
  }

  paths() {
    at(this.propertyField, `${this.path}.property`);
    this.conditions.paths(this.path);
  }

  get message() {
    return {
      events: this.events.values, filter: filterOf(this.conditions.parts), aggregate: this.aggregate.value,
      property: this.#needsProperty ? this.property.property : '', percentiles: this.#needsPercentiles ? numbersOf(this.percentiles.value) : [],
    };
  }
}
