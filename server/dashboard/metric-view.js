// The chosen metric's card: total, chart, the rows of its breakdown, and what there is to know of its numbers.

import { drawBackfill } from './backfill.js';
import { causeOf } from './causes.js';
import { $, el, restart, setText } from './dom.js';
import { percent, signed, timesIn } from './format.js';
import { approximateText, chartsOf, measureText, samplesText, tracksOf, valueTexts } from './measure.js';
import { columns } from './metric.js';
import { COLOURS, SeriesChart } from './series-chart.js';

const QUIET_MS = 1_500;

export class MetricView {
  #metric = null;
  #chart = new SeriesChart($('metric-chart'), $('metric-readout'));
  #rows = new Map();
  #total = '';
  #movedAt = -Infinity;

  /** @param {string} zone the project's time zone, which its days are cut in */
  constructor(zone) {
    $('metric-chart-of').replaceChildren();
    this.zone = zone || 'UTC';
    this.times = timesIn(zone);
  }

  /** Shows another metric, or the same one anew or in another way. */
  show(metric, look) {
    this.#metric = metric;
    this.look = look;
    $('metric').hidden = !metric;
    if (!metric) return;
    setText($('metric-title'), metric.title);
    setText($('metric-note'), measureText(metric.definition));
    this.#rows.clear();
    $('metric-rows').replaceChildren();
    this.#total = '';
    this.draw(performance.now());
  }

  draw(now) {
    const metric = this.#metric;
    if (!metric) return;
    this.#drawState(metric);
    this.#drawTotal(metric, now);
    if (!metric.known) return;
    this.#drawChart(metric, now);
    this.#drawRows(metric);
    this.#drawNotes(metric);
  }

  #drawState(metric) {
    const counting = !metric.live && !metric.ended && metric.known;
    $('metric').classList.toggle('pale', counting || Boolean(metric.ended) || !metric.known);
    $('metric-backfill').hidden = !counting && !metric.next;
    drawBackfill('metric-', metric);
    setText($('metric-ended'), metric.ended && `This metric ended: ${metric.ended}`);
    $('metric-recounted').hidden = !metric.recounted;
  }

  #drawTotal(metric, now) {
    const texts = valueTexts(metric.known ? metric.total : null, metric.unit);
    const text = texts.slice(0, 3).join('  ');
    setText($('metric-total'), text);
    $('metric-total').classList.toggle('several', texts.length > 1);
    if (this.#total && this.#total !== text && now - this.#movedAt > QUIET_MS) restart($('metric-total'), 'up', ['up', 'down']);
    if (this.#total !== text) this.#movedAt = now;
    this.#total = text;
    setText($('metric-total-note'), [this.look.text, samplesText(metric.total, metric.nature)].filter(Boolean).join(', '));
    const mark = metric.markAt(now);
    const amount = mark && !Number.isNaN(mark.amount) && mark.amount !== 0 ? `${signed(Number(mark.amount.toFixed(2)))} ` : '';
    const words = mark ? `${amount}${causeOf(mark.cause).badge}` : '';
    if ($('metric-mark').textContent === words) return;
    setText($('metric-mark'), words);
    if (mark) restart($('metric-mark'), 'new');
  }

  #drawChart(metric, now) {
    const { nature, span } = metric;
    if (!span) return;
    const rows = metric.split ? metric.sorted : [...metric.rows.values()];
    const shown = this.#chooseChart(metric).tracks;
    const known = new Set(rows.flatMap((row) => [...row.buckets.keys()]));
    const starts = columns(known, span.from.getTime(), span.to.getTime(), this.look.unit);
    const lines = rows.flatMap((row, r) => shown.map((track, t) => ({
      name: metric.split ? row.name : shown.length > 1 ? track.name : '',
      colour: metric.split ? colourOf(row, r) : t,
      values: starts.map((at) => track.of(row.buckets.get(at)) ?? (nature.zero ? 0 : null)),
    })));
    const adds = nature.adds && (lines.length <= 1 || lines.every((line) => line.values.every((v) => !(v < 0))));
    const isDay = this.look.unit === 'DAY';
    this.#chart.draw({
      starts, lines, columns: adds, corrected: metric.correctedBuckets(now),
      text: shown[0].text, counts: nature.zero && metric.unit === 'number',
      time: (ms) => (isDay ? this.times.wholeDay : this.times.dayAndClock).format(ms),
      axis: (ms) => (this.look.hours > 24 ? this.times.day : this.times.clock).format(ms),
      label: `${metric.title} by ${this.look.unit.toLowerCase()}, ${this.look.text}: ${valueTexts(metric.total, metric.unit).join(', ')}. Arrow keys read single columns.`,
    });
  }

  /** Where a metric has several parts that share no axis, one of them is drawn: which, is chosen. */
  #chooseChart(metric) {
    const charts = chartsOf(tracksOf(metric.total, metric.unit), metric.split);
    const node = $('metric-chart-of');
    const names = charts.map((chart) => chart.name);
    if (names.join() !== [...node.options].map((option) => option.value).join()) {
      node.replaceChildren(...names.map((name) => el('option', { value: name, textContent: name })));
    }
    node.hidden = charts.length < 2;
    return charts[Math.max(0, node.selectedIndex)] ?? charts[0];
  }

  #drawRows(metric) {
    const { unit, nature: { adds } } = metric;
    $('metric-table').hidden = !metric.split;
    if (!metric.split) return;
    setText($('metric-by'), metric.definition.breakdown?.property ?? 'Value');
    const [track] = this.#chooseChart(metric).tracks;
    const whole = track.of(metric.total);
    const nodes = metric.sorted.map((row, r) => {
      const node = this.#rows.get(row.key) ?? tableRow(row);
      this.#rows.set(row.key, node);
      node.dot.className = `dot colour-${colourOf(row, r)}`;
      setText(node.total, valueTexts(row.total, unit).join('  '));
      setText(node.share, adds && whole > 0 ? percent(track.of(row.total) ?? 0, whole) : '');
      return node.root;
    });
    const now = [...$('metric-rows').children];
    if (now.length !== nodes.length || nodes.some((node, i) => node !== now[i])) $('metric-rows').replaceChildren(...nodes);
    setText($('metric-all'), valueTexts(metric.total, unit).join('  '));
  }

  #drawNotes(metric) {
    const notes = [
      approximateText(metric.total),
      metric.overflow && 'there are more values than are kept apart: the last to come are in “other”',
      metric.cut && 'an edge of the range lies inside a stretch that was rolled up, which counts where it begins',
      metric.split && !metric.nature.adds && 'rows do not add up to the total',
      `days and hours of ${this.zone}`,
    ].filter(Boolean);
    setText($('metric-notes'), `${notes.join('; ').replace(/^./, (c) => c.toUpperCase())}.`);
  }
}

/** A value's colour: those with none of their own are grey. */
const colourOf = (row, index) => (row.own && index < COLOURS ? index : 'rest');

function tableRow(row) {
  const [dot, total, share] = [el('i'), el('td', { className: 'num' }), el('td', { className: 'num' })];
  const name = el('th', { scope: 'row', title: row.name }, dot, el('span', { className: row.own ? '' : 'muted', textContent: row.name || '(empty)' }));
  return { dot, total, share, root: el('tr', {}, name, total, share) };
}
