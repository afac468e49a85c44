// The steps of a funnel's form: in order, each with its events, its conditions, a label.

import { ConditionsField } from './conditions-field.js';
import { stepFilters, stepParts } from './definition.js';
import { el, setText } from './dom.js';
import { at, button, checkbox, labelled, textInput } from './fields.js';
import { Tokens } from './picker.js';

const NEW = { label: '', events: [], conditions: [], optional: false };

export class StepsField {
  #steps = [];
  #list = el('ol', { className: 'step-list' });

  constructor({ catalog, segments, steps }) {
    Object.assign(this, { catalog, segments });
    this.root = at(el('div', { className: 'steps-field' }, this.#list, button('+ step', () => this.#add(NEW).focus())), 'steps');
    for (const step of steps) this.#add(step);
  }

  get messages() {
    return this.#steps.map((step) => step.message());
  }

  paths() {
    this.#steps.forEach((step, i) => step.paths(`steps[${i}]`));
  }

  #add(step) {
    const field = this.#fieldOf(step);
    this.#steps.push(field);
    this.#draw();
    return field;
  }

  #move(field, by) {
    const from = this.#steps.indexOf(field);
    const to = from + by;
    if (to < 0 || to >= this.#steps.length) return;
    this.#steps.splice(from, 1);
    this.#steps.splice(to, 0, field);
    this.#draw();
  }

  #remove(field) {
    this.#steps = this.#steps.filter((one) => one !== field);
    this.#draw();
  }

  #draw() {
    this.#list.replaceChildren(...this.#steps.map((step) => step.root));
    this.#steps.forEach((step, i) => step.number(i + 1, this.#steps.length));
  }

  #fieldOf(step) {
    const { catalog, segments } = this;
    const events = new Tokens({
      label: 'Events', placeholder: 'event', values: step.events, suggest: (text) => catalog.events(text), unseen: (name) => catalog.unseenEvent(name),
    });
    const conditions = new ConditionsField({ catalog, segments, parts: stepParts(step), events: () => events.values, entry: true });
    const plainLabel = step.label === step.events[0] ? '' : step.label;
    const label = textInput(plainLabel, { placeholder: 'the event’s name' });
    const optional = checkbox('May be skipped', step.optional);
    const number = el('span', { className: 'step-number num' });
    const up = button('↑', () => this.#move(field, -1));
    const down = button('↓', () => this.#move(field, 1));
    const remove = button('×', () => this.#remove(field));
    const eventsField = el('div', { className: 'grow' }, events.root);
    const more = el('details', {}, el('summary', { textContent: 'Conditions, label' }), el('div', { className: 'fields' },
      conditions.root, labelled('Label', label), optional.root));
    more.open = conditions.parts.length > 0;
    const root = el('li', { className: 'step-field' }, el('div', { className: 'step-head' }, number, eventsField, el('span', { className: 'moves' }, up, down, remove)), more);
    const field = {
      root,
      focus: () => events.picker.input.focus(),
      number: (n, of) => {
        setText(number, String(n));
        events.picker.input.ariaLabel = `Events of step ${n}`;
        [[up, `Step ${n} up`], [down, `Step ${n} down`], [remove, `Remove step ${n}`]].forEach(([node, text]) => { node.ariaLabel = text; });
        up.disabled = n === 1;
        down.disabled = n === of;
        remove.disabled = of === 1;
      },
      paths: (path) => {
        at(root, path);
        at(eventsField, `${path}.events`);
        at(optional.root, `${path}.optional`);
        conditions.paths(path);
      },
      message: () => ({ label: label.value.trim(), events: events.values, ...stepFilters(conditions.parts), optional: optional.input.checked }),
    };
    return field;
  }
}
