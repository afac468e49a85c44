// Tiles and metrics in Chromium against the real binary (FOOTPATH_BIN): what moves, what is marked, what is said of it.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';

import { launch, live, openPage, until, withToken } from './browser.mjs';
import { Server } from './server.mjs';
import { flow, send, shopFunnel, STEPS } from './traffic.mjs';

let browser;
let server;
let admin;
let sender;
let page;
/** Streams that the page opened. */
let streams = 0;

const text = (selector, p = page) => p.textContent(selector);
const number = async (selector, p = page) => Number((await text(selector, p)).replace(/[,≈ ]/g, ''));
const rows = (p = page) => p.locator('#metric-rows tr').evaluateAll((all) => all.map((row) => [...row.children].map((cell) => cell.textContent).join(' ').trim()));
const term = (aggregate, events, property = '') => ({ events, aggregate: `METRIC_AGGREGATE_${aggregate}`, property });
const define = (metric) => admin.unary('DefinitionService', 'CreateMetric', { project: admin.project, metric });
const choose = async (title, p = page) => {
  await p.locator('#metric-list .chip', { hasText: title }).click();
  await until(() => text('#metric-title', p), (t) => t === title, `${title} is chosen`);
};
/** An event some seconds ago. */
const event = (name, userId, ago, over = {}) => ({ id: randomUUID(), name, userId, time: new Date(Date.now() - ago * 1000), ...over });
const price = (currency, units, nanos = 0) => ({ properties: { price: { moneyValue: { currency, units, nanos } } } });

before(async () => {
  assert.ok(process.env.FOOTPATH_BIN, 'FOOTPATH_BIN names the binary; ./test.sh sets it');
  [server, browser] = await Promise.all([Server.start(process.env.FOOTPATH_BIN), launch()]);
  sender = server.sender();
  const code = new URL(server.link).searchParams.get('code');
  const { token } = await server.bearer('').unary('AdminService', 'ExchangeCode', { code }, { token: '' });
  admin = server.bearer(token);
  page = await openPage(browser, server.origin, {
    setup: async (p) => {
      p.on('request', (request) => { if (request.url().endsWith('/Watch')) streams += 1; });
      await withToken(token, admin.project)(p);
    },
  });
  await live(page);
});

after(async () => {
  await browser?.close();
  await server?.remove();
});

test('zeros are shown as zeros, and as complete', async () => {
  await until(() => page.isVisible('#no-metrics'), Boolean, 'it is said how to make a metric');
  await send(sender, [event('long-ago', 'nobody', 3 * 86_400)]);
  await until(() => text('#active-state'), (t) => /^complete up to \d\d:\d\d:\d\d$/.test(t), 'active persons are counted');
  await until(() => text('#sessions-state'), (t) => t.startsWith('complete'), 'sessions are counted');
  assert.deepEqual([await text('#active-5'), await text('#sessions-started'), await text('#sessions-bounce')], ['0', '0', '–']);
});

test('the tiles move while traffic flows', async () => {
  const stop = flow(sender, { rate: 60 });
  for (const id of ['active-5', 'active-30', 'active-today', 'sessions-open', 'sessions-started']) {
    await until(() => number(`#${id}`), (n) => n > 3, `${id} rises`);
  }
  const more = await number('#active-5');
  await until(() => number('#active-5'), (n) => n > more, 'it goes on');
  await until(() => text('#sessions-bounce'), (t) => /^\d+\.\d %$/.test(t), 'the bounce rate is a share');
  await until(() => text('#sessions-average'), (t) => / s$/.test(t), 'the average length is a duration');
  await stop();
  const { sessions } = await admin.unary('QueryService', 'ListSessions', {
    project: admin.project, from: new Date(new Date().setUTCHours(0, 0, 0, 0)), to: new Date(Date.now() + 60_000), pageSize: 1000,
  });
  await until(() => number('#sessions-started'), (n) => n === sessions.length, `as many as stored events have: ${sessions.length}`);
});

test('a session that a late event widens is marked as a correction', async () => {
  await send(sender, [event('seen', 'wide', 60)]);
  await send(sender, [event('seen', 'wide', 300)]);
  await until(() => text('#sessions-mark'), (t) => /\d+ widened/.test(t), 'the mark names it');
  await until(() => page.locator('#corrections li.correction').allTextContents(), (lines) => lines.some((l) => /Sessions of today corrected by.*began earlier/.test(l)), 'the feed names it');
});

test('a metric appears by itself, moves, and a late event is marked at its column', async () => {
  await send(sender, [event('buy', 'a', 5, { plainProperties: { plan: 'pro' } }), event('buy', 'b', 4, { plainProperties: { plan: 'free' } }), event('buy', 'c', 3)]);
  await define({ id: 'bought', title: 'Bought', events: term('COUNT', ['buy']), breakdown: { property: 'plan' } });
  await until(() => text('#metric-title'), (t) => t === 'Bought', 'it is chosen');
  await until(() => number('#metric-total'), (n) => n === 3, 'it counts what was stored before');
  assert.deepEqual(await rows(), ['free 1 33.3 %', 'pro 1 33.3 %', 'not set 1 33.3 %']);
  await send(sender, [event('buy', 'd', 1, { plainProperties: { plan: 'pro' } })]);
  await until(rows, (r) => r.join('; ') === 'pro 2 50.0 %; free 1 25.0 %; not set 1 25.0 %', 'rows change and sort');
  assert.equal(await number('#metric-all'), 4);
  assert.equal(await text('#metric-mark'), '');
  // Somebody's earlier purchase comes after a later one.
  await send(sender, [event('buy', 'd', 600, { plainProperties: { plan: 'pro' } })]);
  await until(() => text('#metric-mark'), (t) => t === '+1 late', 'the total is marked');
  assert.notEqual(await page.getAttribute('#metric-chart .corrected-column', 'd'), '', 'and the column');
  await until(() => page.locator('#corrections li.correction').allTextContents(), (l) => l.some((line) => line.includes('Bought corrected by late events') && line.includes('total +1')), 'the feed names it');
  await until(() => page.locator('#metric-list .chip').textContent(), (t) => t === 'Bought5', 'the list shows the total');
});

test('what the chart shows agrees with a query, over every range', async () => {
  for (const [range, last] of [['1h', { count: 60, unit: 'TIME_UNIT_MINUTE' }], ['24h', { count: 24, unit: 'TIME_UNIT_HOUR' }], ['30d', { count: 30, unit: 'TIME_UNIT_DAY' }]]) {
    await page.locator(`#metric-range input[value="${range}"]`).check({ force: true });
    const { total: { total } } = await admin.unary('QueryService', 'QueryMetric', { project: admin.project, metricId: 'bought', range: { last } });
    await until(() => number('#metric-total'), (n) => n === total.number, `${range} has ${total.number}`);
    assert.notEqual(await page.getAttribute('#metric-chart path.colour-0', 'd'), '');
  }
  assert.ok(await page.isDisabled('#metric-unit input[value="MINUTE"]'), '30 days are not cut into minutes');
  await page.locator('#metric-range input[value="1h"]').check({ force: true });
});

test('the chart is read by keyboard', async () => {
  const label = () => page.getAttribute('#metric-chart .area-of-chart', 'aria-label');
  await until(label, (t) => /^Bought by minute, last hour: 5/.test(t), 'the chart says what it shows');
  await page.focus('#metric-chart .area-of-chart');
  await page.keyboard.press('Home');
  const first = await text('#metric-readout');
  await page.keyboard.press('ArrowRight');
  await until(() => text('#metric-readout'), (t) => t !== first, 'the next column is read');
});

test('money by currency, ratios as shares, percentiles: each as what it is', async () => {
  await send(sender, [event('pay', 'a', 2, price('EUR', 3, 500_000_000)), event('pay', 'b', 2, price('EUR', 1, 990_000_000)), event('pay', 'c', 2, price('USD', 7))]);
  await define({ id: 'revenue', title: 'Revenue', events: term('SUM', ['pay'], 'price') });
  await define({ id: 'rate', title: 'Pay rate', ratio: { numerator: term('UNIQUE_PERSONS', ['pay']), denominator: term('UNIQUE_PERSONS', ['buy']) } });
  await define({ id: 'spread', title: 'Prices', events: { ...term('PERCENTILES', ['pay'], 'price'), percentiles: [50, 90] } });
  await until(() => page.locator('#metric-list .chip').count(), (n) => n === 4, 'all are listed');
  await choose('Revenue');
  await until(() => text('#metric-total'), (t) => t === '€5.49  $7.00', 'each currency has its sum');
  assert.deepEqual(await page.locator('#metric-chart-of option').allTextContents(), ['EUR', 'USD']);
  await choose('Pay rate');
  await until(() => text('#metric-total'), (t) => t === '75.0 %', 'three of four');
});

test('a funnel with a breakdown shows its rows and how long it takes', async () => {
  const funnel = { ...shopFunnel('shop', 'Shop', STEPS.slice(0, 2)), breakdown: { property: { property: 'platform' } } };
  await admin.unary('DefinitionService', 'CreateFunnel', { project: admin.project, funnel });
  await until(() => page.locator('#funnel-rows th').allTextContents(), (names) => [...names].sort().join() === 'android,ios,web', 'a row for each platform');
  await until(() => text('#overall-note'), (t) => /^\d+ of \d+ went through, half within .* s$/.test(t), 'and the median time');
});

test('a metric that is not followed event by event is counted again', async () => {
  await define({ id: 'conv', title: 'Conversion', conversion: { funnelId: 'shop' } });
  await until(() => page.locator('#metric-list .chip', { hasText: 'Conversion' }).textContent(), (t) => /%$/.test(t), 'the list has its number');
  await choose('Conversion');
  await until(() => page.isVisible('#metric-recounted'), (visible) => visible, 'it says so');
  await until(() => text('#metric-total'), (t) => /%$/.test(t), 'it has an answer');
  const samples = await text('#metric-total-note');
  await send(sender, [event(STEPS[0], 'new-one', 2)]);
  await until(() => text('#metric-total-note'), (t) => t !== samples, 'the next answer holds the new person');
});

test('a metric that changes is watched anew, one that is deleted goes', async () => {
  await choose('Bought');
  await until(rows, (r) => r.length === 3, 'it has rows');
  const { metric } = await admin.unary('DefinitionService', 'GetMetric', { project: admin.project, metricId: 'bought' });
  await admin.unary('DefinitionService', 'UpdateMetric', { project: admin.project, metric: { ...metric, breakdown: undefined } });
  await until(() => page.isVisible('#metric-table'), (visible) => !visible, 'the rows are gone');
  await until(() => number('#metric-total'), (n) => n === 5, 'the total is there');
  await admin.unary('DefinitionService', 'DeleteMetric', { project: admin.project, metricId: 'bought' });
  await until(() => page.locator('#metric-list .chip').count(), (n) => n === 4, 'it is not listed any more');
  assert.notEqual(await text('#metric-title'), 'Bought');
});

test('a back-fill of tiles and metrics is shown with its per cent', async () => {
  const filling = await openPage(browser, server.origin, {
    setup: async (p) => {
      await withToken(await page.evaluate(() => sessionStorage.getItem('footpath.token')), admin.project)(p);
      const state = { state: 'DEFINITION_STATE_BACKFILLING', backfillPercent: 42 };
      await p.route(/LiveService\/Watch$/, async (route) => {
        // As the page asked: its subscription to the metric has a number of its own.
        const asked = server.codec.decode('footpath.v1.WatchRequest', route.request().postDataBuffer().subarray(5)).subscriptions.map((s) => s.id);
        const metric = asked.findLast((id) => id.startsWith('metric:'));
        const messages = [
          { started: { watchId: 'w' } }, { activeUsers: { subscriptionId: 'tiles:active', ...state } }, { sessions: { subscriptionId: 'tiles:sessions', ...state } },
          ...(metric ? [{ metricSnapshot: { subscriptionId: metric, metricId: 'm', span: { from: new Date(0), to: new Date(60_000) }, ...state } }] : []),
        ].map((m) => server.codec.encode('footpath.v1.WatchResponse', m));
        const frames = messages.map((m) => Buffer.concat([Buffer.from([0, 0, 0, 0, m.length]), m]));
        await route.fulfill({ contentType: 'application/grpc-web+proto', body: Buffer.concat(frames) });
      });
    },
  });
  await until(() => text('#active-state', filling), (t) => t === 'backfilling 42 %', 'active persons say so');
  await until(() => text('#sessions-state', filling), (t) => t === 'backfilling 42 %', 'sessions say so');
  await until(() => text('#metric-backfill-text', filling), (t) => t === 'Backfilling from stored events: 42 %', 'the metric says so');
  await filling.unrouteAll({ behavior: 'ignoreErrors' }); // The page asks again after each answer.
  await filling.context().close();
});

test('one stream carried all of it, and nothing was complained of in the console', () => {
  assert.equal(streams, 1);
  assert.deepEqual(page.errors, []);
});
