// The dialog that makes, changes and deletes funnels, metrics, segments and alert rules. The server judges; what it says stands at the field it is about.

import { Catalog } from './catalog.js';
import { idOf, problemsOf } from './definition.js';
import { $, el, setText } from './dom.js';
import { showAt } from './fields.js';
import { FunnelForm } from './funnel-form.js';
import { MetricForm } from './metric-form.js';
import { warningOf } from './picker.js';
import { RuleForm } from './rule-form.js';
import { SegmentForm } from './segment-form.js';

const KINDS = {
  funnel: { name: 'Funnel', Form: FunnelForm },
  metric: { name: 'Metric', Form: MetricForm },
  segment: { name: 'Segment', Form: SegmentForm },
  alertRule: { name: 'AlertRule', text: 'alert rule', Form: RuleForm },
};
/** Reasons that are about a field without naming it. */
const FIELDS = { funnel_exists: 'id', metric_exists: 'id', segment_exists: 'id', alert_rule_exists: 'id' };

export class Definer {
  #abort = new AbortController();
  #kind = '';
  /** The definition that is changed; null while a new one is made. */
  #known = null;
  #form = null;
  #idTyped = false;

  /**
   * @param {object} on `saved(kind, id)` and `deleted(kind)` once the server did it; `funnels()`: those that can be measured;
   *   `times`, as moments are read
   */
  constructor(client, project, on) {
    Object.assign(this, { client, project, on });
    this.catalog = new Catalog(client, project);
    const listen = (id, type, work) => $(id).addEventListener(type, work, { signal: this.#abort.signal });
    listen('definer-form', 'submit', (event) => {
      event.preventDefault();
      this.#save();
    });
    listen('definer-close', 'click', () => $('definer').close());
    listen('definer', 'close', () => this.#form?.end?.());
    listen('definer-name', 'input', () => { if (!this.#known && !this.#idTyped) $('definer-id').value = idOf($('definer-name').value); });
    listen('definer-id', 'input', () => { this.#idTyped = $('definer-id').value !== ''; });
    listen('definer-delete', 'click', () => this.#sure(true));
    listen('definer-keep', 'click', () => this.#sure(false));
    listen('definer-delete-sure', 'click', () => this.#delete());
  }

  end() {
    this.#abort.abort();
    this.#form?.end?.();
    $('definer').close();
  }

  /** Opens the form of a new definition, or of the one with this id. */
  async open(kind, id = '') {
    this.#kind = kind;
    try {
      const [answer, segments, ...lists] = await Promise.all([id ? this.#call('Get', { [`${kind}Id`]: id }) : null, this.#segments(), ...this.#ofRules()]);
      if (this.#abort.signal.aborted) return;
      this.#show(answer?.[kind] ?? null, segments, lists);
      this.#warn(answer?.warnings ?? []);
    } catch (error) {
      this.on.failed(error);
    }
  }

  #call(verb, request) {
    return this.client.unary('DefinitionService', `${verb}${KINDS[this.#kind].name}`, { project: this.project, ...request });
  }

  /** Those that a form offers; a segment names no others, and a rule has the metric's. */
  async #segments() {
    if (this.#kind === 'segment' || this.#kind === 'alertRule') return [];
    return this.#all('Segments', 'segments');
  }

  /** What a rule can watch, and who can be told. */
  #ofRules() {
    return this.#kind === 'alertRule' ? [this.#all('Metrics', 'metrics'), this.#all('Destinations', 'destinations', 'AlertService')] : [];
  }

  #all(name, field, service = 'DefinitionService') {
    return this.client.list(service, `List${name}`, field, { project: this.project });
  }

  #show(known, segments, [metrics = [], destinations = []]) {
    const { Form } = KINDS[this.#kind];
    this.#form = new Form({
      catalog: this.catalog, segments, known: known ?? undefined, funnels: this.on.funnels(), metrics, destinations, whole: () => this.#definition,
      client: this.client, project: this.project, times: this.on.times,
    });
    $('definer-fields').replaceChildren(this.#form.root);
    $('definer-name').value = known?.title ?? '';
    $('definer-id').value = known?.id ?? '';
    this.#idTyped = false;
    this.#is(known);
    this.#clear();
    if (!$('definer').open) $('definer').showModal();
    $('definer-name').focus();
  }

  /** What stands in the form is this definition now. */
  #is(known) {
    this.#known = known;
    setText($('definer-title'), known ? `Change ${known.title || known.id}` : `New ${KINDS[this.#kind].text ?? this.#kind}`);
    $('definer-id').readOnly = Boolean(known);
    $('definer-delete').hidden = !known;
    this.#sure(false);
  }

  #clear() {
    for (const note of $('definer-form').querySelectorAll('.problem')) note.remove();
    setText($('definer-error'), '');
    setText($('definer-note'), '');
  }

  #busy(busy) {
    for (const id of ['definer-save', 'definer-delete', 'definer-delete-sure']) $(id).disabled = busy;
  }

  /** What stands in the form, and what it does not know of the definition that is changed. */
  get #definition() {
    return { ...this.#known, title: $('definer-name').value.trim(), id: $('definer-id').value.trim(), ...this.#form.message };
  }

  async #save() {
    this.#clear();
    this.#form.paths();
    this.#busy(true);
    try {
      const answer = await this.#call(this.#known ? 'Update' : 'Create', { [this.#kind]: this.#definition });
      const saved = answer[this.#kind];
      this.on.saved(this.#kind, saved.id).catch(() => {}); // The lists look again by themselves.
      this.#is(saved);
      if (answer.warnings.length === 0) {
        $('definer').close();
        return;
      }
      this.#warn(answer.warnings);
      setText($('definer-note'), 'It is saved, and counts with these names once they come. Correct what is misspelt and save again.');
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#busy(false);
    }
  }

  /** Names that were never seen, each at its field, unless the field says so itself. */
  #warn(warnings) {
    this.#form.paths();
    for (const warning of warnings) {
      const note = warningOf({ name: warning.name, nearest: '' }, () => {});
      if (warning.nearest) setText(note, `“${warning.name}” was never seen; the nearest is “${warning.nearest}”.`);
      if (!showAt($('definer-form'), warning.field, note)) $('definer-note').append(note);
      for (const own of note.parentElement.querySelectorAll('.warnings .note')) if (own.textContent.includes(`“${warning.name}”`)) note.remove();
    }
  }

  #fail(error) {
    if (!error.code) console.error(error);
    const field = FIELDS[error.reason];
    const problems = field ? [{ path: field, problem: error.message }] : problemsOf(error.message);
    const unplaced = problems.filter(({ path, problem }) => !path || !showAt($('definer-form'), path, problemNote(problem, error.reason)));
    if (unplaced.length > 0) {
      $('definer-error').replaceChildren(...unplaced.map(({ path, problem }) => problemNote(path ? `${path}: ${problem}` : problem, error.reason)));
      return;
    }
    setText($('definer-error'), 'It was not saved: see the fields that are marked.');
    $('definer-form').querySelector('.problem')?.scrollIntoView({ block: 'nearest' });
  }

  #sure(asked) {
    $('definer-sure').hidden = !asked;
    $('definer-delete').hidden = asked || !this.#known;
    if (asked) $('definer-delete-sure').focus();
  }

  async #delete() {
    this.#clear();
    this.#busy(true);
    try {
      await this.#call('Delete', { [`${this.#kind}Id`]: this.#known.id });
      $('definer').close();
      this.on.deleted(this.#kind).catch(() => {});
    } catch (error) {
      this.#sure(false);
      this.#fail(error);
    } finally {
      this.#busy(false);
    }
  }
}

const problemNote = (problem, reason) => el('span', { className: 'note bad' }, problem, reason ? el('code', { textContent: ` ${reason}` }) : '');
