// Names a property: whose it is, its key from the catalogue, and which value of a person's or group's counts.

import { el } from './dom.js';
import { select, textInput } from './fields.js';
import { Picker, warningOf } from './picker.js';

const SCOPES = [
  ['PROPERTY_SCOPE_EVENT', 'of the event'], ['PROPERTY_SCOPE_CONTEXT', 'of its context'], ['PROPERTY_SCOPE_PERSON', 'of the person'],
  ['PROPERTY_SCOPE_GROUP', 'of a group'],
];
const MOMENTS = [
  ['PROPERTY_MOMENT_AT_EVENT', 'at the event'], ['PROPERTY_MOMENT_CURRENT', 'now'], ['PROPERTY_MOMENT_AT_ENTRY', 'at the entry'],
];
const EVENT = 'PROPERTY_SCOPE_EVENT';
const scopeOf = (scope) => (!scope || scope === 'PROPERTY_SCOPE_UNSPECIFIED' ? EVENT : scope);

export class PropertyField {
  /**
   * @param {object} how `catalog`; `known`: a property reference to begin with; `events()`: names whose properties are offered;
   *   `label`; `numeric`: numbers first; `eventOnly`: no other scope; `entry`: whether there is an entry, as in funnels; `changed()`
   */
  constructor({ catalog, known = {}, events, label, numeric = false, eventOnly = false, entry = false, changed = () => {} }) {
    Object.assign(this, { catalog, events, changed });
    this.scope = select(eventOnly ? SCOPES.slice(0, 1) : SCOPES, scopeOf(known.scope), { ariaLabel: `${label}: whose` });
    this.group = textInput(known.groupType, { ariaLabel: `${label}: type of the group`, placeholder: 'type of the group', className: 'small' });
    this.moment = select(entry ? MOMENTS : MOMENTS.slice(0, 2), known.moment ?? '', { ariaLabel: `${label}: which value` });
    this.key = new Picker({
      label, placeholder: 'property', value: known.property ?? '', suggest: (text) => catalog.keys(this.of, text, numeric), picked: () => this.#check(),
    });
    this.warnings = el('span', { className: 'warnings', role: 'status' });
    this.scope.hidden = eventOnly;
    this.scope.addEventListener('change', () => this.#check());
    this.nodes = [this.key.root, this.scope, this.group, this.moment];
    this.#draw();
  }

  /** Whose properties are looked for. */
  get of() {
    return { scope: this.scope.value, groupType: this.group.value.trim(), events: this.events() };
  }

  get property() {
    return this.key.value;
  }

  /** The reference; without a key undefined. */
  get message() {
    if (!this.property) return undefined;
    const entity = this.#ofEntity;
    return {
      property: this.property, scope: this.scope.value, groupType: this.#ofGroup ? this.group.value.trim() : '',
      moment: entity ? this.moment.value : undefined,
    };
  }

  get #ofGroup() {
    return this.scope.value === 'PROPERTY_SCOPE_GROUP';
  }

  get #ofEntity() {
    return this.#ofGroup || this.scope.value === 'PROPERTY_SCOPE_PERSON';
  }

  #draw() {
    this.group.hidden = !this.#ofGroup;
    this.moment.hidden = !this.#ofEntity;
  }

  async #check() {
    this.#draw();
    this.changed();
    const key = this.property;
    const unseen = key ? await this.catalog.unseenKey(this.of, key).catch(() => null) : null;
    if (key !== this.property) return;
    const use = (name) => {
      this.key.value = name;
      this.#check();
    };
    this.warnings.replaceChildren(...(unseen ? [warningOf(unseen, use)] : []));
  }
}
