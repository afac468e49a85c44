// The project's metrics: which there are, which one is chosen, over which range, and their subscriptions.

import { $, el, setText, throttled } from './dom.js';
import { valueTexts } from './measure.js';
import { Metric } from './metric.js';
import { MetricView } from './metric-view.js';
import { choice, wish } from './place.js';

const LIST_MS = 5_000;
const DRAW_MS = 200;
/** Of so many the list shows the total; with the funnels this keeps below a watch's 100 subscriptions. */
const FOLLOWED = 20;
const TOTALS_MS = 1_000;
/** As many values of a breakdown as there are colours. */
const TOP = 8;
const GONE = new Set(['metric_deleted', 'metric_unknown']);

/** What can be looked at, and cut into what: the first is the usual. */
const RANGES = {
  '1h': { text: 'last hour', hours: 1, last: { count: 60, unit: 'TIME_UNIT_MINUTE' }, units: ['MINUTE'] },
  '24h': { text: 'last 24 hours', hours: 24, last: { count: 24, unit: 'TIME_UNIT_HOUR' }, units: ['HOUR', 'MINUTE'] },
  '7d': { text: 'last 7 days', hours: 168, last: { count: 7, unit: 'TIME_UNIT_DAY' }, units: ['HOUR', 'DAY'] },
  '30d': { text: 'last 30 days', hours: 720, last: { count: 30, unit: 'TIME_UNIT_DAY' }, units: ['DAY', 'HOUR'] },
};

export class Metrics {
  #metrics = new Map();
  /** The totals that the list shows, by metric. */
  #totals = new Map();
  #chosen = '';
  #range = '1h';
  #unit = 'MINUTE';
  #view;
  /** Counts changes of what is looked at: what is still on its way belongs to an earlier one. */
  #round = 0;
  #redraw = throttled(DRAW_MS, () => this.#view.draw(performance.now()));
  #abort = new AbortController();

  /** @param {object} on `notice(metric, notice)` for what is no ordinary movement */
  constructor(client, project, watch, on) {
    Object.assign(this, { client, project: project.id, watch, on });
    this.#view = new MetricView(project.timeZone);
    this.#view.show(undefined, this.look);
    $('metric-list').replaceChildren();
    const listen = (id, type, work) => $(id).addEventListener(type, work, { signal: this.#abort.signal });
    listen('metric-range', 'change', (event) => this.#look(event.target.value, RANGES[event.target.value].units[0]));
    listen('metric-unit', 'change', (event) => this.#look(this.#range, event.target.value));
    listen('metric-chart-of', 'change', () => this.#view.draw(performance.now()));
    this.#look('1h', 'MINUTE');
  }

  end() {
    this.#abort.abort();
  }

  get all() {
    return [...this.#metrics.values()];
  }

  get chosen() {
    return this.#metrics.get(this.#chosen);
  }

  get look() {
    return { ...RANGES[this.#range], unit: this.#unit };
  }

  get routines() {
    return [[LIST_MS, () => this.list(), { asks: true }], [1000, () => this.#second()]];
  }

  /** Looks which metrics there are. */
  async list() {
    const defined = await this.client.list('DefinitionService', 'ListMetrics', 'metrics', { project: this.project });
    if (!this.#abort.signal.aborted) this.#take(defined);
  }

  #take(defined) {
    const ids = new Set(defined.map((d) => d.id));
    const gone = this.all.filter((m) => !ids.has(m.id));
    const fresh = defined.filter((d) => !this.#metrics.has(d.id));
    for (const metric of gone) this.#drop(metric);
    for (const definition of fresh) this.#metrics.set(definition.id, new Metric(definition));
    for (const definition of defined) {
      // What it is made of may be followed now, or not any more: it is watched anew.
      if (this.#metrics.get(definition.id).define(definition)) this.#again(definition.id);
    }
    if (!this.chosen) this.choose(wish('metric', this.all) ?? this.all[0]?.id ?? '');
    this.#followTotals();
    if (gone.length + fresh.length > 0 || !this.listed) this.#drawList();
    this.listed = true;
    $('no-metrics').hidden = defined.length > 0;
  }

  #drop(metric) {
    this.watch.remove(totalOf(metric));
    this.#totals.delete(metric.id);
    this.#metrics.delete(metric.id);
  }

  #again(id) {
    this.watch.remove(totalOf({ id }));
    this.#totals.delete(id);
    if (id === this.#chosen) this.#follow();
    this.listed = false;
  }

  choose(id) {
    this.#chosen = id;
    choice('metric', id, this.all.length > 1);
    this.#follow();
    this.#drawList();
  }

  /** Another range or unit: everything is watched anew. */
  #look(range, unit) {
    this.#range = range;
    this.#unit = RANGES[range].units.includes(unit) ? unit : RANGES[range].units[0];
    for (const input of document.querySelectorAll('#metric-range input')) input.checked = input.value === range;
    for (const input of document.querySelectorAll('#metric-unit input')) {
      input.checked = input.value === this.#unit;
      input.disabled = !RANGES[range].units.includes(input.value);
    }
    setText($('metric-list-range'), RANGES[range].text);
    for (const metric of this.all) this.watch.remove(totalOf(metric));
    this.#totals.clear();
    this.#followTotals();
    this.#follow();
  }

  /** Watches the chosen one, and nothing of the one before. */
  #follow() {
    this.watch.remove(`metric:${this.#round}`);
    this.#round += 1;
    const metric = this.chosen;
    metric?.forget();
    this.#view.show(metric, this.look);
    if (!metric) return;
    metric.error = '';
    const target = { metricId: metric.id, range: { last: this.look.last }, unit: this.#bucket, top: TOP };
    this.watch.add(`metric:${this.#round}`, { metric: target }, this.#handler(metric));
  }

  get #bucket() {
    return `METRIC_BUCKET_UNIT_${this.#unit}`;
  }

  #handler(metric) {
    return {
      snapshot: (message) => {
        metric.snapshot(message);
        this.#redraw();
      },
      delta: (message) => {
        for (const notice of metric.delta(message, performance.now())) this.on.notice(metric, notice);
        this.#redraw();
      },
      ended: ({ reason, message }) => {
        metric.ended = GONE.has(reason) ? 'it was deleted' : message || reason;
        this.#redraw();
      },
    };
  }

  // ---------------------------------------------------------------- the list

  /** Subscribes to the totals that the list shows. */
  #followTotals() {
    for (const metric of this.all.slice(0, FOLLOWED)) {
      if (this.#totals.has(metric.id)) continue;
      const total = new Metric(metric.definition);
      this.#totals.set(metric.id, total);
      const target = { metricId: metric.id, range: { last: this.look.last }, top: 1, intervalMs: TOTALS_MS };
      this.watch.add(totalOf(metric), { metric: target }, {
        snapshot: (message) => total.snapshot(message),
        delta: (message) => total.delta(message, performance.now()),
        ended: ({ reason }) => { total.ended = reason; },
      });
    }
  }

  #drawList() {
    $('metric-list').hidden = this.all.length === 0;
    this.chips = this.all.map((metric) => {
      const figure = el('span', { className: 'num' });
      const chip = el('button', { type: 'button', className: 'chip' }, el('span', { className: 'name', textContent: metric.title, title: metric.title }), figure);
      chip.setAttribute('aria-pressed', String(metric.id === this.#chosen));
      chip.addEventListener('click', () => this.choose(metric.id));
      return { metric, chip, figure };
    });
    const focused = [...$('metric-list').children].indexOf(document.activeElement);
    $('metric-list').replaceChildren(...this.chips.map((c) => c.chip));
    this.chips[focused]?.chip.focus();
    this.#drawFigures();
  }

  #drawFigures() {
    const now = performance.now();
    for (const { metric, chip, figure } of this.chips ?? []) {
      const total = this.#totals.get(metric.id);
      const [text] = valueTexts(total?.known ? total.total : null, total?.unit ?? 'number');
      setText(figure, text);
      chip.classList.toggle('corrected', now - (total?.correctedAt ?? -Infinity) < 10_000);
    }
  }

  #second() {
    this.#view.draw(performance.now());
    this.#drawFigures();
  }
}

const totalOf = (metric) => `metric-total:${metric.id}`;
