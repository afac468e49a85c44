// The chosen funnel's card: built once per definition, then only its changed parts are touched.

import { drawBackfill } from './backfill.js';
import { causeOf } from './causes.js';
import { $, el, restart, setText } from './dom.js';
import { countedText, definitionText, elapsed, integer, percent, signed } from './format.js';
import { BUCKETS, MOST_MINUTES, SAMPLE_MS } from './funnel.js';
import { sliceName } from './measure.js';
import { bars, line } from './trend.js';

const MINUTE_MS = 60_000;
/** A number that stood still this long lights up when it moves; in a busy stream the bars move enough. */
const QUIET_MS = 1_500;

export class FunnelView {
  #funnel = null;
  #rows = [];
  #trend = line('trend');

  constructor() {
    $('trend').append(this.#trend.scale, this.#trend.root);
  }

  /** Shows another funnel, or the same one anew. */
  show(funnel) {
    this.#funnel = funnel;
    $('funnel').hidden = !funnel;
    if (!funnel) return;
    setText($('funnel-title'), funnel.title);
    setText($('funnel-note'), definitionText(funnel.definition));
    const counted = countedText(funnel.definition);
    setText($('counted-head'), counted.replace(/^./, (c) => c.toUpperCase()));
    setText($('funnel-by'), funnel.definition.breakdown?.property?.property ?? '');
    this.#rows = funnel.labels.map((label, step) => stepRow(label, step, counted));
    $('steps').replaceChildren(...this.#rows.map((row) => row.root));
    this.draw(performance.now());
    this.drawTrend();
  }

  draw(now) {
    const funnel = this.#funnel;
    if (!funnel) return;
    const { reached } = funnel;
    const counting = !funnel.live && !funnel.ended;
    $('funnel').classList.toggle('pale', counting || Boolean(funnel.ended));
    $('backfill').hidden = !(counting || funnel.next) || reached.length === 0;
    drawBackfill('', funnel);
    setText($('funnel-ended'), funnel.ended && `This funnel ended: ${funnel.ended}`);
    setText($('overall'), percent(reached.at(-1) ?? 0, reached[0] ?? 0));
    const whole = reached.length > 0 ? `${integer(reached.at(-1))} of ${integer(reached[0])} went through` : ' ';
    const took = funnel.took?.median === undefined ? '' : `, half within ${elapsed(funnel.took.median)}`;
    setText($('overall-note'), whole + took);
    this.#drawSlices(funnel.slices);
    this.#rows.forEach((row, step) => row.draw(funnel, step, now));
  }

  /** With a breakdown: who entered and who went through, by value. */
  #drawSlices(slices) {
    $('funnel-table').hidden = slices.length === 0;
    const shown = JSON.stringify(slices.map(({ value, reached }) => [value, reached]), (_, v) => (typeof v === 'bigint' ? String(v) : v));
    if (shown === this.slices) return;
    this.slices = shown;
    $('funnel-rows').replaceChildren(...slices.map(({ value, reached }) => {
      const { own, name } = sliceName(value);
      const head = el('th', { scope: 'row', title: name }, el('span', { className: own ? '' : 'muted', textContent: name || '(empty)' }));
      const figures = [integer(reached[0]), integer(reached.at(-1)), percent(reached.at(-1), reached[0])];
      return el('tr', {}, head, ...figures.map((textContent) => el('td', { className: 'num', textContent })));
    }));
  }

  /** Every few seconds. */
  drawTrend() {
    if (!this.#funnel) return;
    const { samples, arrivals, minutes } = this.#funnel;
    const span = minutes === 1 ? 'minute' : `${minutes} minutes`;
    setText($('trend-caption'), `Conversion over the last ${span}`);
    setText($('arrivals-head'), `Arrivals, ${minutes} min`);
    this.#trend.draw(samples, Math.max(2, (minutes * MINUTE_MS) / SAMPLE_MS));
    this.#rows.forEach((row, step) => row.spark.draw(arrivals[step], (BUCKETS / MOST_MINUTES) * minutes));
  }
}

function stepRow(label, step, counted) {
  const cell = (className, textContent = '') => el('span', { className, textContent });
  /** A figure, and for who cannot see the column's head, what it is. */
  const figure = (className, what) => {
    const value = el('span');
    return { value, root: el('span', { className: `${className} num` }, value, el('span', { className: 'hidden', textContent: ` ${what}` })) };
  };
  const fill = el('span', { className: 'fill' });
  const mark = cell('mark');
  const bar = el('span', { className: 'track' }, fill, cell('index', String(step + 1)), el('span', { className: 'label', textContent: label, title: label }), mark);
  const spark = bars('spark', BUCKETS);
  const reached = figure('reached', `${counted},`);
  const share = figure('share', 'of the first step,');
  const kept = figure('kept', step === 0 ? '' : 'of the step before,');
  const minute = figure('minute', 'in the last minute');
  const root = el('li', { className: 'step' }, bar, reached.root, share.root, kept.root, spark.root, minute.root);
  let shown;
  let movedAt = -Infinity;

  function draw(funnel, at, now) {
    const count = funnel.reached[at];
    if (count === undefined) return;
    const [first] = funnel.reached;
    fill.style.width = Number(first) > 0 ? `${(100 * Number(count)) / Number(first)}%` : '0';
    setText(reached.value, integer(count));
    setText(share.value, percent(count, first));
    setText(kept.value, at === 0 ? '' : percent(count, funnel.reached[at - 1]));
    const lately = funnel.arrived(at, MINUTE_MS);
    setText(minute.value, lately > 0 ? `+${integer(lately)}` : '0');
    drawMark(mark, funnel.markAt(at, now));
    if (shown === count) return;
    if (shown !== undefined && now - movedAt > QUIET_MS) restart(reached.root, count > shown ? 'up' : 'down', ['up', 'down']);
    shown = count;
    movedAt = now;
  }

  return { root, spark, draw };
}

/** The pill at a step: what a correction brought, distinct from ordinary movement. */
function drawMark(node, mark) {
  const text = mark ? `${signed(mark.amount)} ${causeOf(mark.cause).badge}` : '';
  if (node.textContent === text) return;
  const correction = mark && causeOf(mark.cause).correction;
  setText(node, text);
  node.classList.toggle('correction', Boolean(correction));
  if (correction) restart(node, 'new');
}
