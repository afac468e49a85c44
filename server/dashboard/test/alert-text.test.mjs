// What the page says of alerts, without a browser: words, order, addresses, charts, simulations.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  completenessText, driverParts, expectedText, happenedText, inOrder, isMuted, kindText, lastedText, severityOf, stateText, valueText, worstOf,
} from '../alert-text.js';
import { destinationText } from '../destinations-field.js';
import { timesIn } from '../format.js';
import { bucketText, chartNote, chartOf } from '../incident-chart.js';
import { addressOf, viewOf } from '../place.js';
import { conditionText, everyText, lastFinding, ruleState } from '../rule-text.js';
import { summaryText } from '../simulation.js';

const MINUTE = 60_000;
const START = Date.UTC(2026, 10, 28, 12, 0);
const at = (minute) => new Date(START + minute * MINUTE);
const times = timesIn('UTC');
const judged = (minute, number, over = {}) => ({
  from: at(minute), to: at(minute + 1), finding: 'ALERT_FINDING_FINE', number, volume: 10, expected: 0.1, low: 0, high: 0.2, pValue: 0.5, channel: '', ...over,
});
const incident = (id, severity, state, minute) => ({
  id, severity: `ALERT_SEVERITY_${severity}`, state: `INCIDENT_STATE_${state}`, from: at(minute), openedAt: at(minute + 1),
});

test('what goes on stands first, the worst before the newest', () => {
  const all = [
    incident('over', 'CRITICAL', 'RESOLVED', 9), incident('old', 'WARNING', 'OPEN', 1), incident('new', 'UNSPECIFIED', 'ACKNOWLEDGED', 5),
    incident('bad', 'CRITICAL', 'OPEN', 0), incident('info', 'INFO', 'OPEN', 8), incident('newer', 'INFO', 'RESOLVED', 10),
  ];
  assert.deepEqual(inOrder(all).map((one) => one.id), ['bad', 'new', 'old', 'info', 'newer', 'over']);
  assert.equal(worstOf(all), 'critical');
  assert.equal(worstOf(all.slice(4)), 'info');
  assert.equal(worstOf([]), '');
  assert.deepEqual(['ALERT_SEVERITY_UNSPECIFIED', 'ALERT_SEVERITY_INFO', 9, undefined].map(severityOf), ['warning', 'info', 'warning', 'warning']);
});

test('incidents in words; what a newer server says is no error', () => {
  assert.deepEqual(['OPEN', 'ACKNOWLEDGED', 'RESOLVED', 'NEW'].map((s) => stateText(incident('i', 'INFO', s, 0))), ['open', 'acknowledged', 'over', 'unknown']);
  assert.equal(lastedText({ from: at(0) }, at(3).getTime()), '3 min');
  assert.equal(lastedText({ from: at(0), resolvedAt: at(65) }, at(900).getTime()), '1 h 5 min');
  assert.equal(kindText('ALERT_KIND_ESCALATED'), 'It became clearly worse');
  assert.equal(kindText(77), 'Something happened');
  assert.equal(happenedText({ kind: 'ALERT_KIND_MUTED', mutedUntil: at(3) }, times.moment), 'Muted until Sat 28 Nov, 12:03:00');
  assert.equal(happenedText({ kind: 'ALERT_KIND_MUTED' }, times.moment), 'No longer muted');
  assert.equal(happenedText({ kind: 'ALERT_KIND_OPENED' }, times.moment), 'It began');
  assert.deepEqual([{ value: '<b>' }, { notSet: true }, undefined].map(valueText), ['<b>', 'not set', '']);
  assert.deepEqual([at(1), at(-1), undefined].map((until) => isMuted(until, START)), [true, false, false]);
});

test('what was expected is said once, and usual is only what was learned', () => {
  const learned = { expected: 0.1, low: 0, high: 0.2, pValue: 0.01 };
  assert.equal(expectedText(learned, 'share'), '10.0 % expected; 0.0 % to 20.0 % is usual');
  assert.equal(expectedText({ ...learned, low: undefined }, 'share'), '10.0 % expected; up to 20.0 % is usual');
  assert.equal(expectedText({ expected: 0.2, high: 0.2 }, 'share'), 'allowed is at most 20.0 %');
  assert.equal(expectedText({ expected: 5, low: 5 }, 'number'), 'allowed is at least 5');
  assert.equal(expectedText({ expected: 9, low: 5, high: 9 }, 'number'), 'allowed is 5 to 9');
  assert.equal(expectedText({ expected: 4, high: 9 }, 'number'), 'compared with 4; allowed is less than 9');
  assert.equal(expectedText({ expected: 4, low: 3 }, 'number'), 'compared with 4; allowed is more than 3');
  assert.equal(expectedText({ expected: 4, low: 3, high: 9 }, 'number'), 'compared with 4; allowed is between 3 and 9');
  assert.equal(expectedText({ expected: 5 }, 'number'), '5 expected');
  assert.equal(expectedText({}, 'number'), '');
});

test('a destination is named with what it is', () => {
  const of = (over) => destinationText({ id: 'ops', title: '', minSeverity: 'ALERT_SEVERITY_INFO', ...over });
  assert.equal(of({ webhook: { shape: 'WEBHOOK_SHAPE_SLACK' } }), 'ops, Slack');
  assert.equal(of({ title: 'Ops', webhook: { shape: 'WEBHOOK_SHAPE_JSON' }, minSeverity: 'ALERT_SEVERITY_WARNING' }), 'Ops, webhook, from warning on');
  assert.equal(of({ pagerDuty: {} }), 'ops, PagerDuty');
  assert.equal(of({ somethingNew: {} }), 'ops'); // Of a newer server.
});

test('completeness names the moment and what is missing', () => {
  const said = (expected) => completenessText({ processed: at(3), position: 7, expected }, times.moment);
  assert.equal(said(0), 'Everything received before Sat 28 Nov, 12:03:00 is counted; 0 events are known to be missing.');
  assert.match(said(1), /; 1 event is known to be missing\.$/);
  assert.equal(completenessText(undefined, times.moment), '');
});

test('a driver has its share, its way, and its numbers where there are some', () => {
  const driver = { property: { property: 'method' }, value: { value: 'card' }, kind: 'DRIVER_KIND_RATE', contribution: 1.113 };
  assert.deepEqual(driverParts({ ...driver, before: 0.02, after: 0.9 }, 'share'), {
    name: 'method = card', share: '111.3 %', how: 'its own number changed', numbers: '2.0 % → 90.0 %',
  });
  assert.equal(driverParts({ ...driver, after: 3 }, 'number').numbers, '– → 3');
  assert.equal(driverParts(driver, 'number').numbers, '');
});

test('a chart has its band, its gaps and its problems', () => {
  const judgements = [judged(0, 0.1), judged(1, undefined, { low: undefined, finding: 'ALERT_FINDING_DOWN' }), judged(2, 0.5, { finding: 'ALERT_FINDING_PROBLEM' })];
  const chart = chartOf(judgements, 'share', times);
  assert.deepEqual(chart.lines[1].values, [0.1, null, 0.5]);
  assert.deepEqual(chart.band, { lows: [0, null, 0], highs: [0.2, 0.2, 0.2] });
  assert.deepEqual([...chart.corrected], [at(2).getTime()]);
  assert.equal(chart.words(2), 'Sat 28 Nov, 12:02: 50.0 %; a problem; 10.0 % expected; 0.0 % to 20.0 % is usual');
  assert.match(bucketText(judgements[1], 'share', times), /: no number; the server did not run all the time;/);
  assert.equal(chart.axis(at(2).getTime()), '12:02');
  assert.match(chartNote([], { from: at(0) }), /not there any more/);
  assert.match(chartNote([], { from: at(0), alertRuleId: 'PIPELINE' }), /^Many series/);
  assert.match(chartNote(judgements, { from: at(-90), resolvedAt: at(-60) }), /older than the buckets/);
  assert.match(chartNote(judgements, { from: at(1) }), /^Shaded/);
});

test('rules in words', () => {
  assert.equal(conditionText({ threshold: { above: 0.2 } }, 'share'), 'above 20.0 %');
  assert.equal(conditionText({ threshold: { above: 30, below: 0 } }, 'number'), 'above 30 or below 0');
  assert.equal(conditionText({ change: { against: 'ALERT_BASELINE_UNSPECIFIED', downPercent: 50 } }, 'number'), '50 % less than the same a week before');
  assert.equal(conditionText({ anomaly: { direction: 'ALERT_DIRECTION_DOWN', falseAlertsPerMonth: 0 } }, 'number'), 'unusual, down; about 1 false a month');
  assert.equal(conditionText({ noData: {} }, 'number'), 'nothing comes any more');
  assert.equal(conditionText({}, 'number'), '');
  assert.equal(everyText({ every: 'METRIC_BUCKET_UNIT_UNSPECIFIED', forBuckets: 0 }), 'every minute');
  assert.equal(everyText({ every: 'METRIC_BUCKET_UNIT_HOUR', forBuckets: 3 }), 'every hour, 3 in a row');
});

test('how a rule stands, and what it found last', () => {
  const live = { state: 'DEFINITION_STATE_LIVE', series: [] };
  const state = (rule, answer) => ruleState(rule, answer, START, times.moment).name;
  assert.equal(state({ disabled: true }, live), 'off');
  assert.equal(state({}, null), 'unknown');
  assert.equal(state({}, { ...live, mutedUntil: at(5) }), 'muted');
  assert.equal(state({}, { ...live, mutedUntil: at(-5) }), 'judging');
  assert.equal(state({}, { ...live, state: 'DEFINITION_STATE_BACKFILLING' }), 'back-filling');
  assert.equal(lastFinding(live, 'number', times), 'Nothing is judged yet.');
  const series = [
    { value: { value: 'a' }, judgements: [judged(0, 1)] }, { value: { value: 'b' }, judgements: [judged(0, 9, { finding: 'ALERT_FINDING_PROBLEM' })] },
    { value: { value: 'c' }, judgements: [] },
  ];
  assert.match(lastFinding({ series }, 'number', times), /^2 series, 1 with a problem: b, Sat 28 Nov, 12:00: 9; a problem;/);
  assert.match(lastFinding({ series: [{ judgements: [judged(0, 1)] }] }, 'number', times), /^Sat 28 Nov, 12:00: 1; fine;/);
});

test('a simulation says no more than was seen', () => {
  const summary = { buckets: 8640, series: 1, incidents: 3, alerts: 5, alertsPerSeriesAndMonth: 25.04, learning: 200, tooLittle: 0, missing: 0, span: 6 * 86_400 };
  const said = (over) => summaryText({ ...summary, ...over }, 6);
  assert.equal(said({}), 'The last 6 days, 8,640 buckets of 1 series: 3 incidents, 5 messages; 25 incidents a month for each series. In 200 buckets it did not know enough yet.');
  const short = { buckets: 9, learning: 0, incidents: 1, alerts: 1, span: 540, alertsPerSeriesAndMonth: undefined };
  assert.equal(said(short), '9 min of history in the last 6 days, 9 buckets of 1 series: 1 incident, 1 message.');
  assert.equal(said({ alerts: 0, learning: 0 }), 'The last 6 days, 8,640 buckets of 1 series: it would have sent nothing.');
  assert.equal(
    said({ alerts: 0, learning: 8000, tooLittle: 600, missing: 40 }),
    'The last 6 days, 8,640 buckets of 1 series: nothing could be judged. In 8,000 buckets it did not know enough yet. In 600 buckets there was too little, or nothing to compare with. In 40 buckets the project had no event.',
  );
  assert.equal(said({ buckets: 0 }), 'In the last 6 days there was nothing to judge.');
});

test('addresses are those that messages carry', () => {
  assert.equal(addressOf('shop', 'incidents', '0123456789abcdef'), '#/shop/incidents/0123456789abcdef');
  assert.deepEqual(viewOf('#/shop/incidents/0123456789abcdef'), { project: 'shop', view: 'incidents', id: '0123456789abcdef' });
  assert.deepEqual(viewOf('#/shop/alert-rules'), { project: 'shop', view: 'alert-rules', id: '' });
  for (const hash of ['', '#', '#funnel=checkout', '#/', '#/shop', '#/shop/other', '#//incidents']) assert.equal(viewOf(hash), null, hash);
  assert.deepEqual(viewOf('#/a%zz/incidents/%'), { project: 'a%zz', view: 'incidents', id: '%' });
});
