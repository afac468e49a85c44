// The page in Chromium against the real binary (FOOTPATH_BIN). ./test.sh finds or builds both.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launch, live, openPage, reached, stateOf, until, withToken } from './browser.mjs';
import { Server } from './server.mjs';
import { flow, lateVisitor, send, shopFunnel, STEPS, visit } from './traffic.mjs';

let browser;
let server;
let admin;
let sender;
let page;
/** Opened at the start with a token that ends after a minute; looked at in the end. */
let shortLived;

/** The stream's address. */
const WATCH = /LiveService\/Watch$/;

const entered = async (p = page) => (await reached(p))[0] ?? 0;
const text = (selector, p = page) => p.textContent(selector);
const define = (funnel) => admin.unary('DefinitionService', 'CreateFunnel', { project: admin.project, funnel });
const tokenFor = async (role, lifetime) => (await admin.unary('AdminService', 'CreateToken', {
  subject: role, role, projects: [admin.project], lifetime,
})).token;

before(async () => {
  assert.ok(process.env.FOOTPATH_BIN, 'FOOTPATH_BIN names the binary; ./test.sh sets it');
  [server, browser] = await Promise.all([Server.start(process.env.FOOTPATH_BIN), launch()]);
  sender = server.sender();
  page = await openPage(browser, server.link);
});

after(async () => {
  await browser?.close();
  await server?.remove();
});

test('the start-up link opens the page signed in, and leaves no trace', async () => {
  await live(page);
  assert.equal(new URL(page.url()).search, '');
  assert.deepEqual(await page.evaluate(() => [Object.keys(localStorage), document.cookie]), [[], '']);
  const token = await page.evaluate(() => sessionStorage.getItem('footpath.token'));
  admin = server.bearer(token);
  shortLived = await openPage(browser, server.origin, { setup: withToken(await tokenFor('ROLE_VIEWER', 60), admin.project) });
});

test('a project without events is shown how to send one, with a key', async () => {
  await until(() => page.inputValue('#key'), (key) => key.startsWith('fp_dev_'), 'a key is filled in');
  const key = await page.inputValue('#key');
  assert.ok((await text('#snippet-grpcurl')).includes(key));
  assert.ok((await text('#snippet-rust')).includes(key));
  await page.reload();
  await live(page);
  assert.equal(await page.inputValue('#key'), key, 'a reload makes no second key');
});

test('the first event: stored although no funnel is there, refused with a reason, then counted in milliseconds', async () => {
  await page.fill('#event-name', 'hello');
  await page.click('#send');
  await until(() => text('#send-note'), (t) => t.includes('No funnel is defined yet'), 'it says why nothing counts');
  await page.fill('#event-name', '');
  await page.click('#send');
  await until(() => text('#send-note'), (t) => t.includes('name_missing') && t.length > 30, 'the refusal has reason and advice');
  await until(() => page.locator('#refused li').allTextContents(), ([t]) => /name_missing.+/.test(t), 'and stands in the list of refused events');
  await define(shopFunnel('checkout', 'Checkout'));
  await until(() => page.locator('#steps .step').count(), (n) => n === STEPS.length, 'the funnel appears by itself');
  await until(() => page.inputValue('#event-name'), (name) => name === STEPS[0], 'its first event is filled in');
  await page.click('#send');
  await until(() => text('[data-stage="counted"] b'), (t) => /^\+[\d.,]+ m?s$/.test(t), 'in the funnel after some ms');
  assert.match(await text('[data-stage="received"] b'), /^\d\d:\d\d:\d\d\.\d{3}$/);
  assert.match(await text('[data-stage="stored"] b'), /^\+[\d.]+ m?s$/);
  await until(() => reached(page), (r) => r.join() === '1,0,0,0', 'one person has entered');
});

test('an event sent from elsewhere is followed too', async () => {
  const told = [];
  page.on('response', (response) => { if (response.url().endsWith('/ChangeWatch')) told.push(response.request().postDataBuffer().toString('latin1')); });
  await page.selectOption('#event-funnel', 'checkout');
  const before = await text('[data-stage="received"] b');
  await page.dispatchEvent('#event-funnel', 'change');
  const snippet = await text('#snippet-grpcurl');
  const [event] = JSON.parse(snippet.match(/-d '(.*)' \\/)[1]).events;
  await until(() => told.some((request) => request.includes(event.anonymousId)), Boolean, 'the server knows whom the page waits for');
  await send(sender, [event]);
  await until(() => text('[data-stage="received"] b'), (t) => t !== '–' && t !== before, 'its way is shown');
  await until(() => text('[data-stage="counted"] b'), (t) => t.startsWith('+'), 'and its arrival');
  await page.dispatchEvent('#event-funnel', 'change');
  await send(sender, [{ ...event, name: 'n'.repeat(300) }]);
  await until(() => text('#send-note'), (t) => t.includes('name_too_long'), 'or why it was refused');
});

test('numbers, tail and outcomes move while traffic flows, and nothing else does', async () => {
  await page.evaluate(() => {
    window.shifts = [];
    new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((e) => e.value))).observe({ type: 'layout-shift' });
  });
  const start = await entered();
  const stop = flow(sender, { rate: 60 });
  await until(entered, (n) => n > start + 20, 'persons enter');
  const more = await entered();
  await until(entered, (n) => n > more, 'and go on entering');
  await until(() => text('#tail-rate'), (t) => Number(t.split('/')[0]) > 0, 'the tail counts');
  await until(() => text('#outcomes .sum td:nth-child(2)'), (t) => Number(t.replace(',', '')) > 50, 'outcomes add up');
  await until(() => page.locator('#outcomes code').allTextContents(), (t) => t.includes('name_missing'), 'the refusal is counted by reason');
  await stop();
  const shifts = await page.evaluate(() => window.shifts.reduce((sum, v) => sum + v, 0));
  assert.ok(shifts < 0.01, `the page shifted by ${shifts}`);
});

test('the numbers agree with a query of stored events', async () => {
  const { reached: stored } = await admin.unary('QueryService', 'QueryFunnel', { project: admin.project, funnelId: 'checkout' });
  await until(() => reached(page), (shown) => JSON.stringify(shown) === JSON.stringify(stored.map(Number)), `the page shows ${stored}`);
  await until(() => text('#watermark'), (t) => /complete up to \d\d:\d\d:\d\d, lag/.test(t), 'the watermark is shown');
});

test('a correction is marked at its step and named in the feed; ordinary movement is not', async () => {
  assert.equal(await page.locator('#corrections li.correction').count(), 0);
  const stop = flow(sender, { rate: 60, seed: 2 });
  for (let i = 0; i < 3; i += 1) await lateVisitor(sender);
  await until(() => page.locator('#steps .mark.correction').allTextContents(), (marks) => marks.length === 2 && marks.every((m) => m === '+3 late'), 'both steps carry a mark');
  await until(() => page.locator('#corrections li').allTextContents(), (lines) => lines.some((l) => l.includes('Checkout corrected by 3 late events')), 'the feed names it');
  await stop();
  const identify = { name: '$identify', anonymousId: 'anon-1', userId: 'user-1' };
  await send(sender, [{ name: STEPS[0], anonymousId: 'anon-1' }, { name: STEPS[0], userId: 'user-1' }]);
  await send(sender, [identify]);
  await until(() => page.locator('#corrections li').allTextContents(), (lines) => lines.some((l) => l.includes('merge')), 'a merge is named');
});

test('the tail filters at the server, pauses, and stays bounded', async () => {
  await page.fill('#tail-names', STEPS[3]);
  await page.fill('#tail-actor', 'someone');
  await until(() => page.locator('#tail tr').count(), (n) => n === 0, 'the old rows are gone');
  await send(sender, [{ name: STEPS[3], userId: 'someone' }, { name: STEPS[0], userId: 'someone' }, { name: STEPS[3], userId: 'other' }]);
  await until(() => page.locator('#tail .actor').allTextContents(), (rows) => rows.join() === 'someone', 'one row comes');
  await page.fill('#tail-names', '');
  await page.fill('#tail-actor', '');
  await until(() => page.locator('#tail tr').count(), (n) => n === 0, 'the filter is off');
  await page.click('#tail-pause');
  await send(sender, Array.from({ length: 300 }, (_, i) => ({ name: 'many', userId: `u${i}` })));
  await until(() => text('#tail-note'), (t) => t.startsWith('300 events since you paused'), 'it counts while it is paused');
  assert.equal(await page.locator('#tail tr').count(), 0);
  await page.click('#tail-pause');
  await until(() => page.locator('#tail tr').count(), (n) => n === 200, 'the newest 200 are shown');
});

test('a kill -9 heals by itself: same port, same data, nothing lost, nothing shown twice', async () => {
  const stop = flow(sender, { rate: 40, seed: 3 });
  await until(entered, (n) => n > 0, 'traffic flows');
  page.away = shortLived.away = true;
  await server.end('SIGKILL');
  await until(() => stateOf(page), (s) => s === 'reconnecting', 'the page says that it reconnects');
  await server.run();
  await live(page);
  page.away = shortLived.away = false;
  const back = await entered();
  await until(entered, (n) => n > back, 'numbers move again');
  await stop();
  const { reached: stored } = await admin.unary('QueryService', 'QueryFunnel', { project: admin.project, funnelId: 'checkout' });
  await until(() => reached(page), (shown) => JSON.stringify(shown) === JSON.stringify(stored.map(Number)), `the page shows ${stored}`);
});

test('the tail goes on where it was when a server drains and starts again', async () => {
  await page.fill('#tail-names', 'kept');
  await until(() => page.locator('#tail tr').count(), (n) => n === 0, 'the filter holds');
  await send(sender, [{ name: 'kept', userId: 'one' }]);
  await until(() => page.locator('#tail .actor').allTextContents(), (rows) => rows.join() === 'one', 'the first is shown');
  // The page is kept away while something happens.
  page.away = shortLived.away = true;
  await page.route(WATCH, (route) => route.abort());
  await server.end('SIGTERM');
  await until(() => stateOf(page), (s) => s === 'reconnecting', 'the page says that it reconnects');
  await server.run();
  await send(sender, [{ name: 'kept', userId: 'two' }]);
  await page.unroute(WATCH);
  await live(page);
  page.away = shortLived.away = false;
  await until(() => page.locator('#tail .actor').allTextContents(), (rows) => rows.join() === 'two,one', 'what happened meanwhile is there, once');
  await page.fill('#tail-names', '');
});

test('a laptop that slept gets fresh numbers and a gap instead of hours of events', async () => {
  const sleeper = await openPage(browser, server.origin, {
    setup: async (p) => {
      await withToken(await tokenFor('ROLE_ANALYST', 3600), admin.project)(p);
      await p.clock.install();
    },
  });
  await live(sleeper);
  await send(sender, [{ name: 'before', userId: 'sleeper' }]);
  await until(() => sleeper.locator('#tail .name').allTextContents(), (names) => names[0] === 'before', 'an event comes');
  await sleeper.clock.fastForward('03:00:00');
  await until(() => sleeper.locator('#tail tr.gap').allTextContents(), (rows) => /are left out/.test(rows[0]), 'a gap is marked');
  await live(sleeper);
  await send(sender, [{ name: 'after', userId: 'sleeper' }]);
  await until(() => sleeper.locator('#tail .name').allTextContents(), (names) => names[0] === 'after', 'and it goes on');
  assert.deepEqual(sleeper.errors, []);
  await sleeper.context().close();
});

test('20 subscriptions in each of two tabs: one stream a tab, and every number lives', async () => {
  for (let i = 0; i < 18; i += 1) await define(shopFunnel(`f-${i}`, `Funnel ${i}`, STEPS.slice(0, 2 + (i % 3))));
  const context = page.context();
  const second = await context.newPage();
  const streams = [];
  second.on('request', (request) => { if (request.url().endsWith('/Watch')) streams.push(request); });
  const token = await page.evaluate(() => sessionStorage.getItem('footpath.token'));
  await withToken(token, admin.project)(second);
  await second.goto(server.origin);
  await live(second);
  for (const tab of [page, second]) {
    // 19 funnels, the tail, the panel's own: 21 subscriptions.
    await until(() => tab.locator('#funnel-list .chip').count(), (n) => n === 19, 'all funnels are listed');
  }
  const figures = (tab) => tab.locator('#funnel-list .num').allTextContents();
  await until(() => figures(second), (f) => f.every((t) => t.includes('%')), 'every funnel has numbers');
  const before = [await figures(page), await figures(second)];
  const next = () => 0.01; // Goes all the way.
  await send(sender, Array.from({ length: 120 }, () => visit(next, Date.now() - 3000, 500)).flat());
  for (const [i, tab] of [page, second].entries()) {
    await until(() => figures(tab), (now) => now.every((t, f) => t !== before[i][f] || t === '100.0 %'), 'every number moved');
  }
  await until(() => text('#outcomes-note', second), (t) => /\d+ this minute/.test(t), 'plain calls get through beside the streams');
  assert.equal(streams.length, 1);
  await second.locator('#funnel-list .chip', { hasText: 'Funnel 3' }).focus();
  await second.keyboard.press('Enter');
  await until(() => text('#funnel-title', second), (t) => t === 'Funnel 3', 'the keyboard chooses a funnel');
  assert.ok(second.url().endsWith('#funnel=f-3'));
  await second.close();
});

/** A page whose watch answers with a snapshot of the funnel like this one. */
const pageOf = (state) => openPage(browser, server.origin, {
  setup: async (p) => {
    await withToken(await tokenFor('ROLE_ANALYST', 3600), admin.project)(p);
    const snapshot = { subscriptionId: 'funnel:checkout', funnelId: 'checkout', version: 1, reached: [4, 3, 2, 1], ...state };
    const messages = [{ started: { watchId: 'w' } }, { funnelSnapshot: snapshot }].map((m) => server.codec.encode('footpath.v1.WatchResponse', m));
    const frames = messages.map((m) => Buffer.concat([Buffer.from([0, 0, 0, 0, m.length]), m]));
    // Not before the page has asked for its funnels.
    await p.route(WATCH, async (route) => {
      await p.waitForSelector('#steps .step');
      await route.fulfill({ contentType: 'application/grpc-web+proto', body: Buffer.concat(frames) });
    });
  },
});

test('a backfill is shown with its per cent, and that of a newer version beside the older one’s numbers', async () => {
  for (const [state, wanted, pale] of [
    [{ state: 'DEFINITION_STATE_BACKFILLING', backfillPercent: 42 }, 'Backfilling from stored events: 42 %', true],
    [{ state: 'DEFINITION_STATE_LIVE', backfillPercent: 100, next: { version: 2, backfillPercent: 7 } }, 'Version 2 is counted from stored events: 7 %', false],
  ]) {
    const filling = await pageOf(state);
    await until(() => text('#backfill-text', filling), (t) => t === wanted, 'the per cent is shown');
    assert.equal(await filling.isVisible('#backfill'), true);
    assert.equal(await filling.locator('#funnel.pale').count() > 0, pale);
    await filling.unrouteAll({ behavior: 'ignoreErrors' }); // The page asks again after each answer.
    await filling.context().close();
  }
});

test('a narrow screen scrolls in one direction only, light and dark', async () => {
  for (const colorScheme of ['light', 'dark']) {
    const token = await tokenFor('ROLE_ADMIN', 3600);
    const narrow = await openPage(browser, server.origin, { viewport: { width: 390, height: 844 }, colorScheme, setup: withToken(token, admin.project) });
    await live(narrow);
    await narrow.locator('#first-event > summary').click();
    await send(sender, [{ name: 'n'.repeat(200), userId: 'u'.repeat(200), plainProperties: { long: 'x'.repeat(500) } }, { name: '', userId: 'x' }]);
    await until(() => narrow.locator('#tail .name').allTextContents(), (names) => names.some((n) => n.length === 200), 'a long event is shown');
    const widths = await narrow.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    assert.deepEqual(widths, [390, 390]);
    assert.deepEqual(narrow.errors, []);
    await narrow.context().close();
  }
});

test('a viewer sees the numbers and is told what is not theirs', async () => {
  const viewer = await openPage(browser, server.origin, { setup: withToken(await tokenFor('ROLE_VIEWER', 3600), admin.project) });
  await live(viewer);
  await until(() => entered(viewer), (n) => n > 0, 'the numbers are there');
  await viewer.locator('#first-event > summary').click();
  await until(() => text('#key-note', viewer), (t) => t.includes('ask an admin'), 'keys are not theirs to make');
  await until(() => text('#no-refused', viewer), (t) => t.includes('Your role'), 'nor are events');
  assert.match(await text('#tail-note', viewer), /your role may read numbers, not events/);
  await viewer.fill('#tail-names', 'x');
  await send(sender, visit(() => 0.01, Date.now() - 3000, 500));
  const seen = await entered(viewer);
  await until(() => entered(viewer), (n) => n >= seen, 'numbers go on');
  assert.equal(await stateOf(viewer), 'live');
  assert.deepEqual(viewer.errors, []);
  await viewer.context().close();
});

test('a token of another server, a used link and an expired token all say how to get in', async () => {
  const stranger = await openPage(browser, server.origin, { setup: withToken('not-a-token', admin.project) });
  await until(() => text('#sign-in-error', stranger), (t) => t.includes('not one of this server'), 'the reason is given');
  assert.ok((await text('#sign-in', stranger)).includes('footpath token'));
  await stranger.fill('#token-input', await tokenFor('ROLE_ANALYST', 3600));
  await stranger.click('#sign-in-form button');
  await live(stranger);
  const link = server.link; // The last start's; nobody has used it.
  const first = await openPage(browser, link);
  await live(first);
  const again = await openPage(browser, link);
  await until(() => text('#sign-in-error', again), (t) => t.includes('This link did not work'), 'a link works once');
  await until(() => text('#sign-in-error', shortLived), (t) => t.includes('expired'), 'a token that ends says so', 75_000);
  for (const p of [stranger, first, again, shortLived]) assert.deepEqual(p.errors, []);
});

test('nothing was complained of in the console', () => {
  assert.deepEqual(page.errors, []);
});
