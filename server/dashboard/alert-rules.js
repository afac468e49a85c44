// The list of alert rules: what each one watches, how it stands, and what it found last.

import { severityOf } from './alert-text.js';
import { $, el, setText, throttled } from './dom.js';
import { button } from './fields.js';
import { plural } from './format.js';
import { natureOf, unitFor } from './measure.js';
import { addressOf } from './place.js';
import { conditionText, everyText, lastFinding, ruleState } from './rule-text.js';

const LIST_MS = 10_000;
const AGAIN_MS = 500;
/** A back-fill is soon over. */
const FILLING_MS = 1_500;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export class AlertRules {
  #rules = [];
  /** How each rule's series stand, by its id. */
  #stands = new Map();
  #shown = false;
  /** Whether the rules were read once. */
  #read = false;
  #again = throttled(AGAIN_MS, () => this.list());

  #whileFilling = throttled(FILLING_MS, () => this.list());

  /** Opens the form of one, for those who may define; set by whoever has the forms. */
  change = null;

  /** @param {object} how `metrics()`: those that can be watched; `times`; `header`, for the server's clock */
  constructor(client, project, { metrics, times, header }) {
    Object.assign(this, { client, project, metrics, times, header });
    $('alert-rule-list').replaceChildren();
  }

  get routines() {
    return [[LIST_MS, () => this.list(), { asks: true, whenVisible: true }]];
  }

  open() {
    this.#shown = true;
    this.#draw();
    this.list();
  }

  close() {
    this.#shown = false;
  }

  /** Something happened to an incident: a rule found something. */
  take() {
    if (this.#shown) this.#again();
  }

  choose() {} // Each one is shown.

  /** Reads the rules and how they stand, while they are looked at. */
  async list() {
    if (!this.#shown) return;
    try {
      this.#rules = await this.client.list('DefinitionService', 'ListAlertRules', 'alertRules', { project: this.project });
      this.#read = true;
      this.#draw();
      for (const { id } of this.#rules) this.#stands.set(id, await this.#stand(id));
      setText($('alert-rules-error'), '');
      this.#draw();
      if (this.#rules.some(({ id, disabled }) => !disabled && this.#stands.get(id)?.state === 'DEFINITION_STATE_BACKFILLING')) this.#whileFilling();
    } catch (error) {
      this.#fail('The alert rules cannot be read', error);
    }
  }

  async #stand(id) {
    try {
      return await this.client.unary('AlertService', 'ListAlertSeries', { project: this.project, alertRuleId: id, buckets: 1 });
    } catch (error) {
      if (error.code === 'NOT_FOUND') return null; // It was deleted a moment ago.
      throw error;
    }
  }

  #fail(what, error) {
    if (!error.code) console.error(error);
    setText($('alert-rules-error'), `${what}: ${error.message}.`);
  }

  #draw() {
    $('no-alert-rules').hidden = this.#rules.length > 0 || !this.#read;
    const list = $('alert-rule-list');
    // Which button somebody was at: the list is made anew.
    const at = [...list.querySelectorAll('button, a')].indexOf(document.activeElement);
    list.replaceChildren(...this.#rules.map((rule) => this.#row(rule)));
    if (at >= 0) list.querySelectorAll('button, a')[at]?.focus();
  }

  #row(rule) {
    const answer = this.#stands.get(rule.id) ?? null;
    const unit = this.#unit(rule, answer);
    const state = ruleState(rule, answer, this.header.serverNow(), this.times.moment);
    const severity = el('span', { className: 'severity', textContent: severityOf(rule.severity) });
    severity.dataset.severity = rule.disabled ? 'over' : severityOf(rule.severity);
    const pill = el('span', { className: 'rule-state', textContent: state.text });
    pill.dataset.state = state.name;
    const facts = [this.#metric(rule)?.title ?? rule.metricId, conditionText(rule, unit), everyText(rule), rule.owner && `owner ${rule.owner}`];
    return el('li', {},
      el('div', { className: 'row' }, severity, el('strong', { textContent: rule.title || rule.id }), pill, ...this.#buttons(rule, state)),
      el('p', { className: 'facts', textContent: facts.filter(Boolean).join(' · ') }),
      ...(answer && !rule.disabled ? [el('p', { className: 'note', textContent: lastFinding(answer, unit, this.times) })] : []),
      ...this.#incidents(answer));
  }

  #metric(rule) {
    return this.metrics().find((one) => one.id === rule.metricId);
  }

  #unit(rule, answer) {
    const metric = this.#metric(rule);
    const numbers = (answer?.series ?? []).flatMap(({ judgements }) => judgements.map(({ number }) => number ?? 0));
    const bounds = [rule.threshold?.above ?? 0, rule.threshold?.below ?? 0];
    return metric ? unitFor(natureOf(metric.definition).unit, { number: Math.max(0, ...numbers, ...bounds) }) : 'number';
  }

  #incidents(answer) {
    const open = (answer?.series ?? []).filter((one) => one.incidentId);
    if (open.length === 0) return [];
    const href = addressOf(this.project, 'incidents', open.length === 1 ? open[0].incidentId : '');
    return [el('p', {}, el('a', { href, textContent: plural(open.length, 'open incident') }))];
  }

  #buttons(rule, { name }) {
    if (!this.change) return [];
    const title = rule.title || rule.id;
    const one = (text, work) => button(text, work, { className: 'link', ariaLabel: `${text}: ${title}` });
    const mutes = name === 'muted' ? [one('Unmute', () => this.#mute(rule.id))]
      : [one('Mute for 1 h', () => this.#mute(rule.id, HOUR_MS)), one('Mute for 1 d', () => this.#mute(rule.id, DAY_MS))];
    return [el('span', { className: 'row rule-buttons' }, one('Change', () => this.change(rule.id)), ...(rule.disabled ? [] : mutes))];
  }

  /** Mutes for so long, or not any more. */
  async #mute(id, ms) {
    const until = ms === undefined ? undefined : new Date(this.header.serverNow() + ms);
    try {
      await this.client.unary('AlertService', 'MuteAlertRule', { project: this.project, alertRuleId: id, until });
      await this.list();
    } catch (error) {
      this.#fail('That was not done', error);
    }
  }
}
