// The form of a segment: what an event has to fulfil to be in it.

import { ConditionsField } from './conditions-field.js';
import { filterOf, partsOf } from './definition.js';
import { el } from './dom.js';
import { grouped } from './fields.js';

export class SegmentForm {
  constructor({ catalog, known = {} }) {
    // A segment cannot name others.
    this.conditions = new ConditionsField({ catalog, segments: [], parts: partsOf(known.filter), events: () => [] });
    this.root = el('div', { className: 'fields' }, grouped('An event is in it if all of this holds', 'filter', this.conditions.root));
  }

  paths() {
    this.conditions.paths('filter');
  }

  get message() {
    return { filter: filterOf(this.conditions.parts) };
  }
}
