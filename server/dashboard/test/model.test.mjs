// What the page knows, without a browser: funnels, the feed, the journey of an event, charts, snippets.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { amountOf, MARK_MS } from '../causes.js';
import { Feed } from '../corrections.js';
import { definitionText, percent, signed, span } from '../format.js';
import { BUCKET_MS, BUCKETS, Funnel, SAMPLES } from '../funnel.js';
import { Journey } from '../journey.js';
import { slotsOf } from '../outcomes.js';
import { grpcurl, propertiesFor, rust } from '../snippets.js';
import { bounds, runsOf } from '../trend.js';

const definition = { id: 'f', title: 'Checkout', version: 1, steps: [{ label: '', events: ['view'] }, { label: 'Paid', events: ['pay'] }] };
const snapshot = (over = {}) => ({ version: 1, state: 'DEFINITION_STATE_LIVE', backfillPercent: 100, reached: [10, 4], ...over });
const cause = (name, persons, change) => ({ cause: `CAUSE_${name}`, persons, change });

function funnel() {
  const made = new Funnel(definition);
  made.snapshot(snapshot());
  return made;
}

test('a delta of events is movement, not a correction', () => {
  const f = funnel();
  assert.deepEqual(f.delta({ reached: [12, 5], change: [2, 1], causes: [cause('EVENT', 3, [2, 1])] }, 0), []);
  assert.deepEqual(f.reached, [12, 5]);
  assert.deepEqual([f.arrived(0, 60_000), f.arrived(1, 60_000)], [2, 1]);
  assert.equal(f.markAt(0, 0), null);
  assert.equal(f.correctedAt, -Infinity);
});

test('a correction is told apart from the events that came with it, step by step', () => {
  const f = funnel();
  const causes = [cause('EVENT', 5, [5, 1]), cause('LATE_EVENT', 3, [0, 3])];
  const notices = f.delta({ reached: [15, 8], change: [5, 4], causes }, 1000);
  assert.deepEqual(notices, [cause('LATE_EVENT', 3, [0, 3])]);
  assert.equal(f.markAt(0, 1000), null);
  assert.deepEqual(f.markAt(1, 1000), { cause: 'CAUSE_LATE_EVENT', amount: 3, since: 1000 });
  assert.deepEqual([f.arrived(0, 60_000), f.arrived(1, 60_000)], [5, 1]);
  assert.equal(f.correctedAt, 1000);
});

test('marks add up while they are fresh, and go', () => {
  const f = funnel();
  f.delta({ reached: [9, 4], change: [-1, 0], causes: [cause('MERGE', 1, [-1, 0])] }, 0);
  f.delta({ reached: [8, 4], change: [-1, 0], causes: [cause('MERGE', 1, [-1, 0])] }, 100);
  assert.equal(f.markAt(0, 200).amount, -2);
  assert.equal(f.markAt(0, MARK_MS), null);
  f.delta({ reached: [9, 4], change: [1, 0], causes: [cause('LATE_EVENT', 1, [1, 0])] }, 200 + MARK_MS);
  assert.equal(f.markAt(0, 200 + MARK_MS).amount, 1);
});

test('a range that moves on is marked, but is no correction and hides none', () => {
  const f = funnel();
  f.delta({ reached: [11, 4], change: [1, 0], causes: [cause('LATE_EVENT', 1, [1, 0])] }, 0);
  f.delta({ reached: [8, 3], change: [-3, -1], causes: [cause('WINDOW_MOVED', 3, [-3, -1])] }, 10);
  assert.equal(f.markAt(0, 20).cause, 'CAUSE_LATE_EVENT');
  assert.deepEqual(f.markAt(1, 20), { cause: 'CAUSE_WINDOW_MOVED', amount: -1, since: 10 });
  assert.equal(f.correctedAt, 0);
});

test('a merge that moves no number is no correction', () => {
  const f = funnel();
  assert.deepEqual(f.delta({ reached: [10, 4], change: [0, 0], causes: [cause('MERGE', 2, [0, 0])] }, 0), []);
  assert.equal(f.correctedAt, -Infinity);
});

test('a correction that goes on gets a new line now and then, a moving range does not', () => {
  const feed = new Feed();
  const f = funnel();
  for (let at = 0; at <= 60_000; at += 2_000) {
    feed.take(f, cause('LATE_EVENT', 1, [1, 0]), at);
    feed.take(f, cause('WINDOW_MOVED', 1, [-1, 0]), at);
  }
  assert.deepEqual(feed.lines.map((l) => l.cause), ['CAUSE_LATE_EVENT', 'CAUSE_LATE_EVENT', 'CAUSE_WINDOW_MOVED', 'CAUSE_LATE_EVENT']);
});

test('a change without a named cause is not passed off as movement', () => {
  const f = funnel();
  const [notice] = f.delta({ reached: [9, 4], change: [-1, 0], causes: [] }, 0);
  assert.equal(notice.cause, 'CAUSE_UNSPECIFIED');
  assert.equal(f.markAt(0, 0).amount, -1);
});

test('a new version is told, and starts the arrivals anew', () => {
  const f = funnel();
  f.delta({ reached: [11, 4], change: [1, 0], causes: [cause('EVENT', 1, [1, 0])] }, 0);
  assert.equal(f.define({ ...definition }), false);
  assert.equal(f.define({ ...definition, version: 2, steps: definition.steps.slice(0, 1) }), true);
  assert.equal(f.arrived(0, 60_000), 0);
  const [notice] = f.snapshot(snapshot({ version: 2, reached: [7] }));
  assert.equal(notice.cause, 'CAUSE_DEFINITION');
  assert.equal(f.conversion, 100);
});

test('arrivals age out, samples are bounded and break where nothing is known', () => {
  const f = funnel();
  f.delta({ reached: [12, 4], change: [2, 0], causes: [cause('EVENT', 2, [2, 0])] }, 0);
  f.tick(60_000);
  assert.equal(f.arrived(0, 60_000), 0);
  assert.equal(f.arrived(0, 120_000), 2);
  f.tick(BUCKETS * BUCKET_MS + BUCKET_MS);
  assert.equal(f.arrivals[0].reduce((a, b) => a + b), 0);
  for (let i = 0; i < SAMPLES + 5; i += 1) f.sample(i % 2 === 0);
  assert.equal(f.samples.length, SAMPLES);
  assert.deepEqual(f.samples.slice(-2), [null, (100 * 4) / 12]);
});

test('the feed joins what belongs together and stays short', () => {
  const feed = new Feed();
  const [a, b] = [funnel(), funnel()];
  const late = cause('LATE_EVENT', 2, [1, 2]);
  feed.take(a, late, 0);
  feed.take(b, late, 100);
  assert.deepEqual(feed.take(a, late, 200).change, [2, 4]);
  assert.equal(feed.lines.length, 2);
  assert.equal(feed.take(a, late, 10_000).persons, 2);
  assert.equal(feed.lines.length, 3);
  for (let i = 0; i < 100; i += 1) feed.take(a, late, 20_000 + i * 10_000);
  assert.equal(feed.lines.length, 50);
  assert.equal(amountOf(cause('LATE_EVENT', 12, [])), '12 late events');
  assert.equal(amountOf(cause('MERGE', 1, [])), '1 merged person');
});

const at = (ms) => new Date(1_700_000_000_000 + ms);
const event = (name, offset) => ({ name, offset, receivedAt: at(0), storedAt: at(2) });

test('an event is in the funnel with the first numbers past its position, whichever comes first', () => {
  for (const deltaFirst of [true, false]) {
    const journey = new Journey(definition);
    const deltas = () => {
      journey.moved(7, at(5).getTime());
      journey.moved(8, at(30).getTime());
    };
    if (deltaFirst) deltas();
    journey.seen(event('view', 7));
    if (!deltaFirst) deltas();
    assert.equal(journey.storedMs, 2);
    assert.equal(journey.countedMs, 30);
    assert.ok(journey.done);
  }
});

test('an event that does not enter the funnel is never said to be in it', () => {
  const journey = new Journey(definition);
  journey.seen(event('pay', 7));
  journey.moved(9, at(30).getTime());
  assert.equal(journey.countedMs, null);
  assert.ok(journey.done);
});

test('numbers read well and never round to all or nothing', () => {
  assert.equal(percent(1, 10_000), '<0.1 %');
  assert.equal(percent(9_999, 10_000), '>99.9 %');
  assert.equal(percent(0, 5), '0.0 %');
  assert.equal(percent(1, 0), '–');
  assert.equal(signed(-1200), '−1,200');
  assert.deepEqual([0.123, 42, 2500, 240_000].map(span), ['0.1 ms', '42 ms', '2.5 s', '4 min']);
  const range = { last: { count: 7, unit: 'TIME_UNIT_DAY' } };
  assert.equal(definitionText({ range, window: 3600 }), 'last 7 days, within 1 h of the first step');
});

test('outcomes fall into their minutes', () => {
  const counts = [{ outcome: 'stored', count: 3 }, { outcome: 'invalid', count: 1 }, { outcome: 'throttled', count: 2 }];
  const slots = slotsOf([{ minute: at(60_000), counts }, { minute: at(-60_000), counts }], at(0).getTime());
  assert.deepEqual(slots[1], [3, 0, 3]);
  assert.deepEqual(slots[0], [0, 0, 0]);
});

test('charts break where nothing is known, and noise is no mountain', () => {
  assert.deepEqual(runsOf([null, 1, 2, null, 3]), [[[1, 1], [2, 2]], [[4, 3]]]);
  const { low, high } = bounds([50, 50.01]);
  assert.ok(low < 49.6 && high > 50.4, `${low} ${high}`);
  assert.ok(bounds([0, 0]).high > 0);
});

test('snippets survive quotes', () => {
  const filled = { secure: false, endpoint: '127.0.0.1:7400', key: 'k', project: 'p', name: `it's "x"`, actor: 'me', properties: { n: 2 } };
  assert.ok(grpcurl(filled).includes(`'{"events":[{"name":"it'\\''s \\"x\\"","anonymousId":"me","plainProperties":{"n":2}}]}'`));
  assert.ok(rust(filled).includes(`Track::new("it's \\"x\\"").anonymous("me").property("n", 2)`));
  const condition = (operator, values) => ({ property: operator, operator: `CONDITION_OPERATOR_${operator}`, values });
  const conditions = [condition('EQUALS', ['pro']), condition('GREATER', ['5']), condition('LESS_OR_EQUAL', ['5']), condition('IS_NOT_SET', [])];
  assert.deepEqual(propertiesFor({ conditions }), { EQUALS: 'pro', GREATER: 6, LESS_OR_EQUAL: 5 });
});
