// What became of every delivery attempt in the last hour.

import { $, el, setText } from './dom.js';
import { integer, percent } from './format.js';
import { stackedBars } from './trend.js';

const EVERY_MS = 2_000;
const MINUTES = 60;
const MINUTE_MS = 60_000;
const KINDS = ['stored', 'duplicate', 'refused'];
const kindOf = (outcome) => (KINDS.includes(outcome) ? outcome : 'refused');

export class Outcomes {
  #chart = stackedBars('minutes', MINUTES, KINDS);

  constructor(client, project, header) {
    Object.assign(this, { client, project, header });
    $('outcomes-chart').replaceChildren(this.#chart.root);
    this.#drawTotals([]);
  }

  get routines() {
    return [[EVERY_MS, () => this.#query(), { asks: true, whenVisible: true }]];
  }

  async #query() {
    const thisMinute = Math.floor(this.header.serverNow() / MINUTE_MS) * MINUTE_MS;
    const from = new Date(thisMinute - (MINUTES - 1) * MINUTE_MS);
    const { totals, minutes } = await this.client.unary('QueryService', 'QueryOutcomes', { project: this.project, from });
    this.#drawTotals(totals);
    this.#drawMinutes(minutes, from.getTime());
  }

  #drawTotals(totals) {
    const received = totals.reduce((sum, t) => sum + Number(t.count), 0);
    const known = totals.some((t) => t.outcome === 'stored') ? totals : [{ outcome: 'stored', reason: '', count: 0 }, ...totals];
    const rows = known.map(({ outcome, reason, count }) => el('tr', {},
      el('td', {}, el('i', { className: `dot ${kindOf(outcome)}` }), outcome, reason ? el('code', { textContent: reason }) : ''),
      figure(integer(count)), figure(percent(count, received))));
    const sum = el('tr', { className: 'sum' }, el('td', { textContent: 'received' }), figure(integer(received)), figure(''));
    $('outcomes').replaceChildren(...rows, sum);
  }

  #drawMinutes(minutes, from) {
    const slots = slotsOf(minutes, from);
    const label = 'events per minute over the last hour';
    const highest = this.#chart.draw(slots, label);
    const now = slots.at(-1).reduce((sum, n) => sum + n, 0);
    setText($('outcomes-note'), `${integer(now)} this minute, at most ${integer(highest)} a minute`);
  }
}

const figure = (textContent) => el('td', { className: 'num', textContent });

/** Counts by minute and kind, the oldest first. */
export function slotsOf(minutes, from) {
  const slots = Array.from({ length: MINUTES }, () => KINDS.map(() => 0));
  for (const { minute, counts } of minutes) {
    const slot = slots[Math.floor((minute.getTime() - from) / MINUTE_MS)];
    if (!slot) continue;
    for (const { outcome, count } of counts) slot[KINDS.indexOf(kindOf(outcome))] += Number(count);
  }
  return slots;
}
