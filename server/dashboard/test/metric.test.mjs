// What the page knows of metrics, without a browser: values, changes, columns, marks of sessions.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { amountOf, MARK_MS } from '../causes.js';
import { elapsed } from '../format.js';
import { chartsOf, measureText, moneyText, natureOf, tracksOf, unitFor, valueTexts } from '../measure.js';
import { columns, Metric } from '../metric.js';
import { bounds, roundUp } from '../series-chart.js';
import { SessionMarks } from '../tiles.js';

const value = (number, over = {}) => ({ samples: 1, number, exact: '', money: [], percentiles: [], approximate: false, error: 0, ...over });
const term = (aggregate, property = '') => ({ events: ['buy'], aggregate: `METRIC_AGGREGATE_${aggregate}`, property, percentiles: [] });
const counts = { id: 'm', title: 'Bought', version: 1, events: term('COUNT') };
const MINUTE = 60_000;
const at = (minute) => new Date(minute * MINUTE);
const bucket = (minute, number) => ({ start: at(minute), value: number === null ? undefined : value(number) });
const span = (from, to) => ({ from: at(from), to: at(to) });
const series = (name, total, buckets = []) => ({ value: name === null ? undefined : name, total: total === null ? undefined : value(total), buckets });
const is = (text) => ({ value: text });

function metric(definition = counts, message = {}) {
  const made = new Metric(definition);
  made.snapshot({ state: 'DEFINITION_STATE_LIVE', backfillPercent: 100, series: [], total: undefined, span: span(0, 60), overflow: false, cut: false, ...message });
  return made;
}
const delta = (over) => ({ series: [], total: undefined, causes: ['CAUSE_EVENT'], span: span(0, 60), ...over });

test('values read as what they are', () => {
  assert.deepEqual(valueTexts(value(1234.5), 'number'), ['1,235']);
  assert.deepEqual(valueTexts(value(0.30000000000000004, { exact: '0.3' }), 'number'), ['0.3']);
  assert.deepEqual(valueTexts(value(0.4242), 'share'), ['42.4 %']);
  assert.deepEqual(valueTexts(value(200), 'seconds'), ['3 min 20 s']);
  assert.deepEqual(valueTexts(value(undefined), 'number'), ['–']);
  assert.deepEqual(valueTexts(value(7, { approximate: true, error: 0.0081 }), 'number'), ['≈ 7']);
  const percentiles = [{ percentile: 50, value: 3 }, { percentile: 99, value: 9.5 }];
  assert.deepEqual(valueTexts(value(undefined, { percentiles }), 'number'), ['p50 3', 'p99 9.5']);
  assert.deepEqual([0.34, 59.96, 119.8, 3900, 90_000].map(elapsed), ['0.3 s', '1 min', '2 min', '1 h 5 min', '1 d 1 h']);
});

test('money keeps every digit and its currency', () => {
  const money = (currency, units, nanos) => ({ currency, units, nanos });
  assert.equal(moneyText(money('EUR', -1, -990_000_000)), '-€1.99');
  assert.equal(moneyText(money('EUR', 0, -50_000_000)), '-€0.05');
  assert.equal(moneyText(money('USD', 9_007_199_254_740_993n, 10_000_000)), '$9,007,199,254,740,993.01');
  const total = value(3, { money: [money('EUR', 5, 0), money('USD', 2, 0)] });
  assert.deepEqual(valueTexts(total, 'number'), ['3', '€5.00', '$2.00']);
  const charts = chartsOf(tracksOf(total, 'number'), false);
  assert.deepEqual(charts.map((chart) => chart.name), ['numbers', 'EUR', 'USD'], 'what shares no axis is drawn apart');
  assert.equal(charts[2].tracks[0].of(total), 2);
});

test('percentiles share an axis, but not with the rows of a breakdown', () => {
  const total = value(undefined, { percentiles: [{ percentile: 50, value: 1 }, { percentile: 90, value: 2 }] });
  assert.deepEqual(chartsOf(tracksOf(total, 'number'), false).map((chart) => chart.tracks.length), [2]);
  assert.deepEqual(chartsOf(tracksOf(total, 'number'), true).map((chart) => chart.name), ['p50', 'p90']);
});

test('a ratio up to one is a share, a greater one a number, of sessions and conversions it is always a share', () => {
  assert.deepEqual([0.5, 1, 2.4].map((n) => unitFor('ratio', value(n))), ['share', 'share', 'number']);
  assert.equal(natureOf({ conversion: { funnelId: 'f' } }).unit, 'share');
  assert.equal(natureOf({ sessions: { aggregate: 'SESSION_AGGREGATE_BOUNCE_RATE' } }).unit, 'share');
  assert.equal(natureOf({ sessions: { aggregate: 'SESSION_AGGREGATE_DURATION_PERCENTILES' } }).unit, 'seconds');
  assert.equal(measureText({ ...counts, breakdown: { property: 'plan' } }), 'events: buy, by plan');
  assert.equal(measureText({ ratio: { numerator: term('SUM', 'price'), denominator: term('UNIQUE_PERSONS') } }), 'sum of price: buy / persons: buy');
});

test('a delta changes totals and single buckets, takes away what is empty or over', () => {
  const m = metric(counts, { series: [series(null, 6, [bucket(1, 1), bucket(2, 2), bucket(3, 3)])] });
  assert.deepEqual(m.delta(delta({ series: [series(null, 8, [bucket(3, 5), bucket(2, null)])], span: span(2, 62) }), 0), []);
  assert.equal(m.total.number, 8);
  assert.deepEqual([...m.rows.get('').buckets.entries()].map(([ms, v]) => [ms / MINUTE, v.number]), [[3, 5]]);
  assert.equal(m.markAt(0), null);
});

test('rows stand by size, what is no value of its own last; one that is not named any more goes', () => {
  const rows = [series(is('a'), 1), series(is('b'), 5), series({ other: true }, 9), series({ notSet: true }, 7)];
  const m = metric(counts, { series: rows, total: series(null, 22) });
  assert.deepEqual(m.sorted.map((row) => row.name), ['b', 'a', 'other', 'not set']);
  m.delta(delta({ series: [series(is('a'), 6), series(is('b'), null), series(is('c'), 2)], total: series(null, 24) }), 0);
  assert.deepEqual(m.sorted.map((row) => row.name), ['a', 'c', 'other', 'not set']);
  assert.equal(m.total.number, 24);
});

test('a value called "other" is not the rest of them', () => {
  const m = metric(counts, { series: [series(is('other'), 1), series({ other: true }, 2)], total: series(null, 3) });
  assert.deepEqual(m.sorted.map((row) => [row.own, row.total.number]), [[true, 1], [false, 2]]);
});

test('a correction is marked with its amount where it came alone, and at its columns', () => {
  const m = metric(counts, { series: [series(null, 3, [bucket(1, 1), bucket(2, 2)])] });
  const late = delta({ series: [series(null, 4, [bucket(1, 2)])], causes: ['CAUSE_LATE_EVENT'] });
  const [notice] = m.delta(late, 100);
  assert.deepEqual(notice, { cause: 'CAUSE_LATE_EVENT', persons: NaN, change: [1] });
  assert.equal(amountOf(notice), 'late events');
  assert.deepEqual(m.markAt(100), { cause: 'CAUSE_LATE_EVENT', amount: 1, since: 100 });
  assert.deepEqual([...m.correctedBuckets(100)], [MINUTE]);
  assert.equal(m.markAt(100 + MARK_MS), null);
  assert.deepEqual([...m.correctedBuckets(100 + MARK_MS)], []);
});

test('with events in their turn beside it no amount is claimed, and the newest column is not blamed', () => {
  const m = metric(counts, { series: [series(null, 3, [bucket(1, 1), bucket(2, 2)])] });
  const both = delta({ series: [series(null, 6, [bucket(1, 2), bucket(2, 4)])], causes: ['CAUSE_EVENT', 'CAUSE_LATE_EVENT'] });
  assert.deepEqual(m.delta(both, 0), [{ cause: 'CAUSE_LATE_EVENT', persons: NaN, change: [] }]);
  assert.ok(Number.isNaN(m.markAt(0).amount));
  assert.deepEqual([...m.correctedBuckets(0)], [MINUTE]);
});

test('a range that moves on is no correction', () => {
  const m = metric(counts, { series: [series(null, 3, [bucket(1, 1), bucket(2, 2)])] });
  assert.deepEqual(m.delta(delta({ series: [series(null, 2)], causes: ['CAUSE_WINDOW_MOVED'], span: span(2, 62) }), 0), []);
  assert.equal(m.correctedAt, -Infinity);
});

test('another version begins anew', () => {
  const m = metric(counts, { series: [series(null, 3)] });
  assert.equal(m.define({ ...counts }), false);
  assert.equal(m.define({ ...counts, version: 2 }), true);
  assert.equal(m.known, false);
  assert.equal(m.total, undefined);
});

test('columns fill the span: gaps, a cut first one, days of 23 hours', () => {
  const minutes = columns(new Set([3 * MINUTE]), 0, 5 * MINUTE + 1, 'MINUTE');
  assert.deepEqual(minutes.map((ms) => ms / MINUTE), [0, 1, 2, 3, 4, 5]);
  const HOUR = 60 * MINUTE;
  const cut = HOUR - 10 * MINUTE;
  assert.deepEqual(columns(new Set([cut, 2 * HOUR]), cut, 2 * HOUR + 5, 'HOUR'), [cut, HOUR, 2 * HOUR]);
  const DAY = 24 * HOUR;
  const days = [0, DAY, 2 * DAY - HOUR, 3 * DAY - HOUR];
  assert.deepEqual(columns(new Set(days), 0, 3 * DAY, 'DAY'), days);
  assert.deepEqual(columns(new Set([0, DAY]), 0, 2 * DAY - MINUTE, 'DAY'), [0, DAY], 'late in the evening it is not tomorrow');
  assert.deepEqual(columns(new Set(), 0, 2 * MINUTE, 'MINUTE'), [0, MINUTE]);
});

test('an axis holds zero and everything, and is round', () => {
  assert.deepEqual([0, 0.4, 1, 12, 15.1, 99].map(roundUp), [1, 0.4, 1, 15, 20, 100]);
  const lines = [{ values: [1, 2, null] }, { values: [3, 2, 1] }];
  assert.deepEqual(bounds(lines, true), { low: 0, high: 4 });
  assert.deepEqual(bounds(lines, false), { low: 0, high: 3 });
  assert.deepEqual(bounds([{ values: [-7] }], false), { low: -8, high: 0 });
  assert.deepEqual(bounds([], false), { low: 0, high: 1 });
});

test('corrections of sessions add up while they are fresh; what happens in turn is none', () => {
  const marks = new SessionMarks();
  assert.deepEqual(marks.take([{ change: 'opened', count: 3 }, { change: 'closed', count: 1 }], 0), []);
  assert.equal(marks.text(0), '');
  assert.deepEqual(marks.take([{ change: 'widened', count: 2 }, { change: 'extended', count: 5 }], 0), [{ change: 'widened', count: 2 }]);
  marks.take([{ change: 'widened', count: 1 }, { change: 'merged', count: 1 }], 10);
  assert.equal(marks.text(20), '3 widened, 1 joined');
  assert.equal(marks.text(MARK_MS + 5), '1 joined');
});
