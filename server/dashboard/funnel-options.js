// The rarer options of a funnel: how attempts begin and end, what must not happen in between, whose rules hold.

import { ConditionsField } from './conditions-field.js';
import { filterOf, partsOf } from './definition.js';
import { el } from './dom.js';
import { at, button, checkbox, duration, grouped, labelled, select } from './fields.js';
import { Tokens } from './picker.js';
import { PropertyField } from './property-field.js';

const ENTRY = [['FUNNEL_ENTRY_UNSPECIFIED', 'as the rules have it'], ['FUNNEL_ENTRY_LATEST', 'the latest'], ['FUNNEL_ENTRY_FIRST', 'the first']];
const WINDOW_FROM = [['FUNNEL_WINDOW_FROM_FIRST_STEP', 'the first step'], ['FUNNEL_WINDOW_FROM_PREVIOUS_STEP', 'the step before']];
const TIES = [['FUNNEL_TIES_IN_ORDER', 'count as in order'], ['FUNNEL_TIES_INCREASING', 'do not count: each step is later']];
const EFFECT = [
  ['EXCLUSION_EFFECT_UNSPECIFIED', 'as the rules have it'], ['EXCLUSION_EFFECT_BREAK_ATTEMPT', 'ends the attempt'], ['EXCLUSION_EFFECT_DROP_PERSON', 'leaves the person out'],
];
const PRESET = [
  ['FUNNEL_PRESET_UNSPECIFIED', 'Footpath'], ['FUNNEL_PRESET_CLICKHOUSE', 'ClickHouse windowFunnel'], ['FUNNEL_PRESET_POSTHOG', 'PostHog'],
  ['FUNNEL_PRESET_MIXPANEL', 'Mixpanel'], ['FUNNEL_PRESET_AMPLITUDE', 'Amplitude'],
];
const MODES = [
  ['strictDeduplication', 'a repeated step ends it'], ['strictOrder', 'any other event ends it'], ['strictIncrease', 'times increase'],
  ['strictOnce', 'an event serves one step'], ['allowReentry', 'early steps are passed over'],
];

/** What ClickHouse's rules leave no choice of. */
const NOTHING = {
  entry: undefined, windowFrom: undefined, ties: undefined, tieTolerance: undefined, exclusions: [], exclusionEffect: undefined, holdConstant: [],
};

export class FunnelOptions {
  #exclusions = [];
  #held = [];

  constructor({ catalog, segments, known, events }) {
    Object.assign(this, { catalog, segments, events });
    this.preset = select(PRESET, known.preset);
    this.entry = select(ENTRY, known.entry);
    this.windowFrom = select(WINDOW_FROM, known.windowFrom);
    this.ties = select(TIES, known.ties);
    this.tolerance = duration('Tolerance of times', known.tieTolerance, 'tie_tolerance');
    this.effect = select(EFFECT, known.exclusionEffect);
    this.internal = checkbox('Count internal traffic and bots too', known.includeInternal ?? false);
    this.modes = MODES.map(([name, text]) => ({ name, ...checkbox(text, known.windowFunnel?.[name] ?? false) }));
    this.exclusionList = el('div', { className: 'conditions' });
    this.heldList = el('div', { className: 'conditions' });
    for (const one of known.exclusions ?? []) this.#addExclusion(one);
    for (const one of known.holdConstant ?? []) this.#addHeld(one);
    this.#build();
  }

  #build() {
    const exclusions = button('+ exclusion', () => this.#addExclusion({ events: [], afterStep: 0, beforeStep: 0 }));
    const held = button('+ property', () => this.#addHeld({}));
    this.own = el('div', { className: 'fields' },
      el('div', { className: 'two' }, labelled('Which entry counts', this.entry, 'entry'), labelled('Window from', this.windowFrom, 'window_from'),
        labelled('Events of the same time', this.ties, 'ties'), this.tolerance.root),
      grouped('Must not happen in between', 'exclusions', this.exclusionList, exclusions),
      labelled('If it does, it', this.effect, 'exclusion_effect'),
      grouped('The same at all steps', 'hold_constant', this.heldList, held));
    this.windowFunnel = grouped('Modes of windowFunnel', 'window_funnel', ...this.modes.map((mode) => mode.root));
    this.root = el('div', { className: 'fields' }, labelled('Rules of', this.preset, 'preset'), this.own, this.windowFunnel, this.internal.root);
    this.preset.addEventListener('change', () => this.#draw());
    this.#draw();
  }

  get clickhouse() {
    return this.preset.value === 'FUNNEL_PRESET_CLICKHOUSE';
  }

  /** ClickHouse's rules leave no choice but their own modes. */
  #draw() {
    this.own.hidden = this.clickhouse;
    this.windowFunnel.hidden = !this.clickhouse;
    this.changed?.();
  }

  /** Whether anything here differs from the usual, so that it should not be folded away. */
  get used() {
    return this.#exclusions.length + this.#held.length > 0 || this.preset.selectedIndex > 0 || this.entry.value.endsWith('FIRST')
      || this.windowFrom.selectedIndex > 0 || this.ties.selectedIndex > 0 || this.internal.input.checked;
  }

  get message() {
    const common = { preset: this.preset.value, includeInternal: this.internal.input.checked };
    if (this.clickhouse) return { ...common, ...NOTHING, windowFunnel: Object.fromEntries(this.modes.map((mode) => [mode.name, mode.input.checked])) };
    return {
      ...common, windowFunnel: undefined, entry: this.entry.value, windowFrom: this.windowFrom.value, ties: this.ties.value, tieTolerance: this.tolerance.seconds,
      exclusions: this.#exclusions.map((one) => one.message()), exclusionEffect: this.#exclusions.length > 0 ? this.effect.value : undefined,
      holdConstant: this.#held.map((one) => one.message).filter(Boolean),
    };
  }

  paths() {
    this.#exclusions.forEach((one, i) => one.paths(`exclusions[${i}]`));
    this.#held.forEach((one, i) => at(one.root, `hold_constant[${i}]`));
  }

  #addExclusion(known) {
    const { catalog, segments } = this;
    const events = new Tokens({
      label: 'Excluded events', placeholder: 'event', values: known.events, suggest: (text) => catalog.events(text), unseen: (name) => catalog.unseenEvent(name),
    });
    const conditions = new ConditionsField({ catalog, segments, parts: partsOf(known.filter), events: () => events.values, entry: false });
    const step = (text, value) => el('input', { type: 'number', min: '0', max: '20', step: '1', value: value || '', placeholder: text, ariaLabel: text, className: 'small' });
    const [after, before] = [step('after step', known.afterStep), step('before step', known.beforeStep)];
    const field = {
      message: () => ({ events: events.values, filter: filterOf(conditions.parts), afterStep: Number(after.value), beforeStep: Number(before.value) }),
      paths: (path) => {
        at(field.root, path);
        conditions.paths(path);
      },
    };
    const remove = button('×', () => {
      this.#exclusions = this.#exclusions.filter((one) => one !== field);
      field.root.remove();
    }, { className: 'token-remove', ariaLabel: 'Remove this exclusion' });
    field.root = el('div', { className: 'condition' }, events.root, after, before, remove, conditions.root);
    this.#exclusions.push(field);
    this.exclusionList.append(field.root);
  }

  #addHeld(known) {
    const field = new PropertyField({ catalog: this.catalog, known, events: this.events, label: 'Property held constant' });
    const remove = button('×', () => {
      this.#held = this.#held.filter((one) => one !== field);
      field.root.remove();
    }, { className: 'token-remove', ariaLabel: 'Remove this property' });
    field.root = el('div', { className: 'condition' }, ...field.nodes, remove, field.warnings);
    this.#held.push(field);
    this.heldList.append(field.root);
  }
}
