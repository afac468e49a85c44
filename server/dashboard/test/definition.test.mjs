// What forms are made of, without a browser.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Catalog, merged, nearest } from '../catalog.js';
import { durationOf, durationParts, filterOf, idOf, numbersOf, partsOf, problemsOf, stepFilters, stepParts, waysTo } from '../definition.js';

test('a title gives an id that the server takes', () => {
  assert.equal(idOf('Checkout, last minute'), 'checkout-last-minute');
  assert.equal(idOf('  Über_Größe 2! '), 'uber_gro-e-2');
  assert.equal(idOf('…'), '');
  assert.match(idOf('x '.repeat(100)), /^[a-z0-9_-]{1,64}$/);
});

test('problems are told apart by their fields', () => {
  const message = 'steps[1].events: name 1 to 50; none is named; window: 1 s to 366 d; hold_constant[0].property: must be set';
  assert.deepEqual(problemsOf(message), [
    { path: 'steps[1].events', problem: 'name 1 to 50; none is named' },
    { path: 'window', problem: '1 s to 366 d' },
    { path: 'hold_constant[0].property', problem: 'must be set' },
  ]);
  assert.deepEqual(problemsOf('the funnel "x" counts sessions; ask QueryFunnel'), [{ path: '', problem: 'the funnel "x" counts sessions; ask QueryFunnel' }]);
});

test('a field that is not shown by itself is shown where it belongs', () => {
  assert.deepEqual(waysTo('steps[1].conditions[0].property'), [
    'steps[1].conditions[0].property', 'steps[1].conditions[0]', 'steps[1].conditions', 'steps[1]', 'steps',
  ]);
  assert.deepEqual(waysTo('window'), ['window']);
});

const is = (property) => ({ condition: { property, operator: 'CONDITION_OPERATOR_IS_SET', values: [] } });

test('filters go through the form and come out as they were', () => {
  const any = { any: { filters: [is('b'), is('c')] } };
  for (const filter of [undefined, is('a'), any, { all: { filters: [is('a'), any, { segmentId: 's' }] } }, { not: is('a') }]) {
    assert.deepEqual(filterOf(partsOf(filter)), filter);
  }
  const step = { conditions: [is('a').condition], filter: { all: { filters: [{ segmentId: 's' }, any] } } };
  assert.deepEqual(stepFilters(stepParts(step)), step);
  assert.deepEqual(stepFilters([]), { conditions: [], filter: undefined });
});

test('durations in the largest whole unit', () => {
  for (const [seconds, count, unit] of [[86_400, 1, 'd'], [5400, 90, 'min'], [7200, 2, 'h'], [61, 61, 's'], [0.5, 0.5, 's']]) {
    assert.deepEqual(durationParts(seconds), { count, unit });
    assert.equal(durationOf(count, unit), seconds);
  }
  assert.deepEqual(numbersOf('50, 90;99.9 x'), [50, 90, 99.9]);
});

test('the nearest name, as the server has it', () => {
  const names = ['checkout_started', 'Pay', 'login'];
  assert.equal(nearest('pay', names), 'Pay');
  assert.equal(nearest('chekout_statred', names), 'checkout_started');
  assert.equal(nearest('logn', names), 'login');
  assert.equal(nearest('xyz', names), '');
  assert.equal(nearest('lgoin', names), 'login', 'letters that changed places are one change');
});

test('a property of several events is one to choose', () => {
  const seen = (event, types, samples) => ({ key: 'plan', event, types, samples });
  const of = (type, count) => ({ type, count });
  const [one, ...others] = merged([seen('a', [of('int', 2)], ['7']), seen('b', [of('string', 5)], ['pro']), seen('c', [of('int', 1)], ['7'])]);
  assert.deepEqual(one, { key: 'plan', types: ['string', 'int'], samples: ['7', 'pro'] });
  assert.equal(others.length, 0);
});

test('environments can be chosen before anybody sent from one', async () => {
  const catalog = new Catalog({ unary: async () => ({ properties: [] }) }, 'shop');
  const context = { scope: 'PROPERTY_SCOPE_CONTEXT', groupType: '', events: [] };
  const values = async (of, key, contains) => (await catalog.values(of, key, contains)).map(({ value }) => value);
  assert.deepEqual((await catalog.keys(context, 'environ')).map(({ value }) => value), ['environment']);
  assert.deepEqual(await values(context, 'environment', ''), ['prod', 'staging', 'dev']);
  assert.deepEqual(await values(context, 'environment', 'St'), ['staging']);
  assert.deepEqual(await values(context, 'os', ''), []);
  assert.deepEqual(await values({ ...context, scope: 'PROPERTY_SCOPE_EVENT' }, 'environment', ''), []);
});
