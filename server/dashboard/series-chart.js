// A chart over time with axes: columns for what adds up, lines for what does not. A pointer or the arrow keys read it.

import { el, setAttributes, setText, svg } from './dom.js';

const WIDTH = 1000;
const HEIGHT = 240;
/** So many colours there are; what comes after them is grey. */
export const COLOURS = 8;
const LABELS = 5;

/** The next round number: one digit or 1.5 times a power of ten. */
export function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((step) => step * power >= value * (1 - 1e-9));
}

/** Bounds of an axis that holds zero. `top` counts stacked columns. */
export function bounds(lines, stacked) {
  const known = lines.flatMap((line) => line.values.filter((v) => v !== null));
  const length = lines[0]?.values.length ?? 0;
  const sums = stacked ? Array.from({ length }, (_, i) => lines.reduce((sum, line) => sum + (line.values[i] ?? 0), 0)) : known;
  const [low, high] = [Math.min(0, ...known), Math.max(0, ...sums)];
  return { low: low < 0 ? -roundUp(-low) : 0, high: high > 0 || low === 0 ? roundUp(high) : 0 };
}

export class SeriesChart {
  #svg = svg('svg', { class: 'series', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  #band = svg('path', { class: 'band', d: '' });
  #marks = svg('path', { class: 'corrected-column', d: '' });
  #cursor = svg('path', { class: 'cursor', d: '' });
  #zero = svg('path', { class: 'zero', d: '' });
  #paths = [];
  #scale = Array.from({ length: 3 }, () => el('span', { className: 'num' }));
  #times = Array.from({ length: LABELS }, () => el('span', { className: 'num' }));
  #readout;
  #shown = null;
  /** The column that somebody looks at; null is the newest. */
  #at = null;

  /**
   * @param {HTMLElement} host gets the chart
   * @param {HTMLElement} readout gets a column's values in words
   */
  constructor(host, readout) {
    this.#readout = readout;
    const area = el('div', { className: 'area-of-chart', tabIndex: 0, role: 'img' }, this.#svg);
    this.area = area;
    const scale = el('div', { className: 'value-scale', ariaHidden: 'true' }, ...this.#scale);
    host.replaceChildren(scale, area, el('div', { className: 'times', ariaHidden: 'true' }, ...this.#times));
    area.addEventListener('pointermove', (event) => this.#look(this.#columnAt(event)));
    area.addEventListener('pointerleave', () => this.#look(null));
    area.addEventListener('blur', () => this.#look(null));
    area.addEventListener('keydown', (event) => this.#key(event));
  }

  /**
   * @param {object} shown `starts`: the columns' beginnings; `lines`: {name, colour, values, dashed}, one value a column, null where there is
   *   none; `columns`: whether they are drawn as columns, one upon the other; `corrected`: beginnings of marked columns; `text(n)`,
   *   `time(ms)`, `axis(ms)`: as they are read; `counts`: whether
   *   fractions mean nothing; `label`: the whole in words; and if wanted `band`: what is usual, {lows, highs}, one value a column, null
   *   where it is open; `words(i)`: what a column is read as
   */
  draw(shown) {
    this.#shown = shown;
    const { starts, lines, columns, corrected, band } = shown;
    const { low, high } = bounds(band ? [...lines, { values: band.lows }, { values: band.highs }] : lines, columns);
    const x = (i) => (i * WIDTH) / Math.max(starts.length, 1);
    const y = (v) => ((high - v) * HEIGHT) / (high - low || 1);
    while (this.#paths.length < lines.length) this.#paths.push(svg('path'));
    this.#paths.length = lines.length;
    this.#svg.replaceChildren(this.#marks, this.#band, ...this.#paths, this.#zero, this.#cursor);
    const base = new Array(starts.length).fill(0);
    lines.forEach((line, i) => setAttributes(this.#paths[i], columns
      ? { class: `column-fill colour-${line.colour}`, d: columnsPath(line.values, base, x, y) }
      : { class: `line-stroke colour-${line.colour}${line.dashed ? ' dashed' : ''}`, d: linePath(line.values, (k) => x(k + 0.5), y) }));
    setAttributes(this.#band, { d: band ? bandPath(band, x, (v) => y(v ?? low), (v) => y(v ?? high)) : '' });
    setAttributes(this.#zero, { d: `M0 ${y(0)}H${WIDTH}` });
    setAttributes(this.#marks, { d: starts.map((at, i) => (corrected.has(at) ? rect(x(i), x(i + 1), 0, HEIGHT) : '')).join('') });
    // Half an event is none.
    const label = (value) => (shown.counts && !Number.isInteger(value) ? '' : shown.text(value));
    [high, (high + low) / 2, low].forEach((value, i) => setText(this.#scale[i], label(value)));
    this.#times.forEach((node, i) => {
      const column = (k) => Math.round((k * (starts.length - 1)) / (LABELS - 1));
      const at = starts[column(i)];
      setText(node, at === undefined || (i > 0 && column(i) === column(i - 1)) ? '' : shown.axis(at));
    });
    this.area.setAttribute('aria-label', shown.label);
    this.#read();
  }

  #columnAt(event) {
    const box = this.area.getBoundingClientRect();
    const count = this.#shown?.starts.length ?? 0;
    return Math.min(count - 1, Math.max(0, Math.floor(((event.clientX - box.left) * count) / box.width)));
  }

  #key(event) {
    const count = this.#shown?.starts.length ?? 0;
    const at = this.#at ?? count - 1;
    const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: count - 1 }[event.key];
    if (next === undefined || count === 0) return;
    event.preventDefault();
    this.#look(Math.min(count - 1, Math.max(0, next)));
  }

  #look(at) {
    this.#at = at;
    // Read aloud what somebody looks at, not whatever comes.
    this.#readout.ariaLive = at === null ? 'off' : 'polite';
    this.#read();
  }

  #read() {
    const { starts, lines, text, time, words } = this.#shown ?? { starts: [] };
    const at = this.#at ?? starts.length - 1;
    if (starts[at] === undefined) return;
    const left = ((at + 0.5) * WIDTH) / starts.length;
    setAttributes(this.#cursor, { d: this.#at === null ? '' : `M${left} 0V${HEIGHT}` });
    if (words) {
      setText(this.#readout, words(at));
      return;
    }
    const said = lines.filter((line) => line.values[at] !== null && (lines.length === 1 || line.values[at] !== 0));
    const parts = said.map((line) => `${line.name ? `${line.name} ` : ''}${text(line.values[at])}`);
    setText(this.#readout, `${time(starts[at])}: ${parts.join(', ') || 'none'}`);
  }
}

const rect = (left, right, top, bottom) => `M${left.toFixed(1)} ${top.toFixed(1)}H${right.toFixed(1)}V${bottom.toFixed(1)}H${left.toFixed(1)}Z`;

/** Columns upon `base`, which grows by them. */
function columnsPath(values, base, x, y) {
  return values.map((value, i) => {
    if (!value) return '';
    const from = base[i];
    base[i] += value;
    const gap = (x(i + 1) - x(i)) * 0.14;
    const [top, bottom] = [y(Math.max(from, base[i])), y(Math.min(from, base[i]))];
    return rect(x(i) + gap, x(i + 1) - gap, Math.min(top, bottom - 1.5), bottom);
  }).join('');
}

/** What is usual, column by column; where nothing is said of it there is none. */
function bandPath({ lows, highs }, x, bottom, top) {
  return lows.map((low, i) => (low === null && highs[i] === null ? '' : rect(x(i), x(i + 1), top(highs[i]), bottom(low)))).join('');
}

/** A line that breaks where nothing is known; a value that stands alone is a short stroke. */
function linePath(values, x, y) {
  return values.map((value, i) => {
    if (value === null) return '';
    const before = values[i - 1] ?? null;
    const alone = before === null && (values[i + 1] ?? null) === null;
    const point = `${x(i).toFixed(1)} ${y(value).toFixed(1)}`;
    return alone ? `M${point}h2` : `${before === null ? 'M' : 'L'}${point}`;
  }).join('');
}
