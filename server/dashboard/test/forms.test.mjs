// Funnels and metrics are defined, changed and deleted in Chromium against the real binary (FOOTPATH_BIN).

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launch, live, openPage, reached, until, withToken } from './browser.mjs';
import { Server } from './server.mjs';
import { random, send, STEPS, visit } from './traffic.mjs';

let browser;
let server;
let admin;
let sender;
let page;

const text = (selector, p = page) => p.textContent(selector);
/** Waits until the form is closed; if it stays open, what it says tells why. */
const closed = () => until(() => page.locator('#definer[open] :is(.problem, #definer-error, #definer-note, #definer-title)').allTextContents(), (said) => said.length === 0, 'the form closes');
const open = async (button) => {
  await page.click(button);
  await page.waitForSelector('#definer[open]');
};
const eventsOf = (step) => page.getByRole('combobox', { name: `Events of step ${step}`, exact: true });
const options = () => page.locator('.options:not([hidden]) .name');
/** Types, waits for the suggestion, and takes it by keyboard. */
const pick = async (field, typed, wanted) => {
  await field.fill(typed);
  await until(() => options().allTextContents(), (names) => names.includes(wanted), `${wanted} is suggested`);
  const at = (await options().allTextContents()).indexOf(wanted);
  for (let i = 0; i <= at; i += 1) await field.press('ArrowDown');
  await field.press('Enter');
};
const tokenFor = async (role) => (await admin.unary('AdminService', 'CreateToken', { subject: role, role, projects: [admin.project], lifetime: 3600 })).token;

before(async () => {
  assert.ok(process.env.FOOTPATH_BIN, 'FOOTPATH_BIN names the binary; ./test.sh sets it');
  [server, browser] = await Promise.all([Server.start(process.env.FOOTPATH_BIN), launch()]);
  sender = server.sender();
  const code = new URL(server.link).searchParams.get('code');
  const { token } = await server.bearer('').unary('AdminService', 'ExchangeCode', { code }, { token: '' });
  admin = server.bearer(token);
  const next = random(5);
  await send(sender, Array.from({ length: 60 }, () => visit(next, Date.now() - 60_000, 500)).flat());
  page = await openPage(browser, server.origin, { setup: async (p) => withToken(await tokenFor('ROLE_ANALYST'), admin.project)(p) });
  await live(page);
});

after(async () => {
  await browser?.close();
  await server?.remove();
});

test('a funnel is defined with names, properties and values from the catalogue', async () => {
  await open('#new-funnel');
  await page.keyboard.type('Lamps to cart');
  assert.equal(await page.inputValue('#definer-id'), 'lamps-to-cart');
  await pick(eventsOf(1), 'VIEW', STEPS[0]);
  await pick(eventsOf(2), 'cart', STEPS[1]);
  const step = page.locator('.step-field').first();
  await step.getByText('Conditions, label').click();
  await step.getByRole('button', { name: '+ condition' }).click();
  await pick(step.getByRole('combobox', { name: 'Property', exact: true }), 'prod', 'product');
  await pick(step.getByRole('combobox', { name: 'Values' }), 'la', 'lamp');
  await page.getByRole('spinbutton', { name: 'Window' }).fill('2');
  await page.getByRole('combobox', { name: 'Window: unit' }).selectOption('hours');
  await page.click('#definer-save');
  await closed();
  await until(() => text('#funnel-title'), (t) => t === 'Lamps to cart', 'it is chosen');
  const { funnel } = await admin.unary('DefinitionService', 'GetFunnel', { project: admin.project, funnelId: 'lamps-to-cart' });
  assert.deepEqual(funnel.steps.map((s) => s.events), [[STEPS[0]], [STEPS[1]]]);
  assert.deepEqual(funnel.steps[0].conditions.map((c) => [c.property, c.operator, c.values]), [['product', 'CONDITION_OPERATOR_EQUALS', ['lamp']]]);
  assert.equal(funnel.window, 7200);
  assert.deepEqual(funnel.range.last, { count: 7, unit: 'TIME_UNIT_DAY' });
  await until(() => reached(page), ([first]) => first > 0, 'it counts');
});

test('a name that was never seen is named at once with the nearest, and taken by a click', async () => {
  await open('#new-funnel');
  await page.fill('#definer-name', 'Misspelt');
  await pick(eventsOf(1), 'view', STEPS[0]);
  await eventsOf(2).fill('payment_mad');
  await eventsOf(2).press('Enter');
  const warning = page.locator('.step-field').nth(1).locator('.note.warn');
  await until(() => warning.allTextContents(), ([t]) => t?.includes(`the nearest is “${STEPS[3]}”`), 'the nearest is named');
  await warning.getByRole('button').click();
  assert.deepEqual(await page.locator('.step-field').nth(1).locator('.token > span').allTextContents(), [STEPS[3]]);
  await until(() => warning.count(), (n) => n === 0, 'nothing is wrong any more');
  await page.click('#definer-save');
  await closed();
});

test('what the server has to say of a saved name stands at its field', async () => {
  await open('#new-metric');
  await page.fill('#definer-name', 'Typing error');
  const events = page.getByRole('combobox', { name: 'Number: events' });
  await events.fill('cart_fileld');
  await page.click('#definer-save'); // The field is left by this: what was typed counts.
  await until(() => text('#definer-note'), (t) => t.startsWith('It is saved'), 'it is saved all the same');
  const notes = await page.locator('#definer [data-path="events.events"] .note').allTextContents();
  assert.ok(notes.length === 1 && notes[0].includes('“cart_filled”'), `once, with the nearest: ${notes}`);
  assert.equal(await text('#definer-title'), 'Change Typing error');
  await page.locator('#definer .token-remove').click();
  await pick(events, 'cart', STEPS[1]);
  await page.click('#definer-save');
  await closed();
  const { metric, warnings } = await admin.unary('DefinitionService', 'GetMetric', { project: admin.project, metricId: 'typing-error' });
  assert.deepEqual([metric.events.events, Number(metric.version), warnings], [[STEPS[1]], 2, []]);
});

test('a metric is defined: sum of a property, over another number, by a property', async () => {
  await open('#new-metric');
  await page.fill('#definer-name', 'Amount per viewer');
  await page.getByRole('combobox', { name: 'What is measured' }).selectOption('ratio');
  await page.getByRole('combobox', { name: 'Number above: what' }).selectOption('sum of');
  await pick(page.getByRole('combobox', { name: 'Number above: events' }), 'pay', STEPS[3]);
  await pick(page.getByRole('combobox', { name: 'Number above: property' }), '', 'amount');
  await page.getByRole('combobox', { name: 'Number below: what' }).selectOption('how many persons');
  await pick(page.getByRole('combobox', { name: 'Number below: events' }), 'view', STEPS[0]);
  await pick(page.getByRole('combobox', { name: 'Broken down by', exact: true }), 'plat', 'platform');
  await page.click('#definer-save');
  await closed();
  await until(() => text('#metric-title'), (t) => t === 'Amount per viewer', 'it is chosen');
  await until(() => page.locator('#metric-rows tr').count(), (n) => n === 3, 'it has a row for each platform');
  const { metric } = await admin.unary('DefinitionService', 'GetMetric', { project: admin.project, metricId: 'amount-per-viewer' });
  assert.equal(metric.ratio.numerator.aggregate, 'METRIC_AGGREGATE_SUM');
  assert.equal(metric.ratio.numerator.property, 'amount');
  assert.equal(metric.ratio.denominator.aggregate, 'METRIC_AGGREGATE_UNIQUE_PERSONS');
  assert.equal(metric.breakdown.property, 'platform');
});

test('sessions and conversions can be measured', async () => {
  await open('#new-metric');
  await page.fill('#definer-name', 'Bounces');
  await page.getByRole('combobox', { name: 'What is measured' }).selectOption('sessions');
  await page.locator('#definer [data-path="sessions"] select').selectOption('bounce rate');
  await page.click('#definer-save');
  await closed();
  await open('#new-metric');
  await page.fill('#definer-name', 'Lamps converted');
  await page.getByRole('combobox', { name: 'What is measured' }).selectOption('conversion');
  await page.getByRole('combobox', { name: 'Funnel', exact: true }).selectOption('lamps-to-cart');
  await page.click('#definer-save');
  await closed();
  await until(() => text('#metric-title'), (t) => t === 'Lamps converted', 'it is chosen');
  await until(() => text('#metric-total'), (t) => t.endsWith('%'), 'and asked for');
});

test('problems stand at their fields, with reason and advice, folded ones too', async () => {
  await open('#new-funnel');
  await pick(eventsOf(1), 'view', STEPS[0]);
  await page.click('#definer-save');
  const at = (path) => page.locator(`#definer [data-path="${path}"] > .problem`).allTextContents();
  await until(() => at('id'), ([t]) => /definition_invalid/.test(t), 'an id is missing');
  await until(() => at('steps[1].events'), ([t]) => /definition_invalid/.test(t), 'and the second step’s event');
  await page.fill('#definer-id', 'lamps-to-cart');
  await pick(eventsOf(2), 'cart', STEPS[1]);
  await page.locator('#definer details', { hasText: 'Advanced' }).locator('> summary').click();
  await page.getByRole('spinbutton', { name: 'Tolerance of times' }).fill('100');
  await page.locator('#definer details', { hasText: 'Advanced' }).locator('> summary').click();
  await page.click('#definer-save');
  await until(() => page.locator('#definer .problem').allTextContents(), ([t, ...others]) => /definition_invalid/.test(t) && others.length === 0, 'the tolerance is too long');
  assert.ok(await page.isVisible('#definer .problem'), 'what is folded away is unfolded');
  await page.getByRole('spinbutton', { name: 'Tolerance of times' }).fill('');
  await page.click('#definer-save');
  await until(() => at('id'), ([t]) => /funnel_exists/.test(t), 'the id is taken');
  await page.keyboard.press('Escape');
  await closed();
});

test('a change keeps what the form does not show, and goes on from what is stored', async () => {
  const is = (property) => ({ condition: { property, operator: 'CONDITION_OPERATOR_IS_SET', values: [] } });
  const kept = {
    id: 'kept', title: 'Kept', window: 3600, range: { fixed: { from: '2026-01-01T00:00:00Z', to: '2027-01-01T00:00:00Z' } }, order: 'FUNNEL_ORDER_STRICT',
    steps: [{ events: [STEPS[0]], filter: { any: { filters: [is('product'), { not: is('platform') }] } } }, { events: [STEPS[1]] }],
    breakdown: { property: { property: 'platform' }, attribution: 'BREAKDOWN_ATTRIBUTION_STEP', attributionStep: 2 },
  };
  await admin.unary('DefinitionService', 'CreateFunnel', { project: admin.project, funnel: kept });
  const get = async () => (await admin.unary('DefinitionService', 'GetFunnel', { project: admin.project, funnelId: 'kept' })).funnel;
  const before = await get();
  await until(() => page.locator('#funnel-list .chip', { hasText: 'Kept' }).count(), (n) => n === 1, 'it is listed');
  await page.locator('#funnel-list .chip', { hasText: 'Kept' }).click();
  await open('#edit-funnel');
  await page.fill('#definer-name', 'Kept as it was');
  await page.click('#definer-save');
  await closed();
  const after = await get();
  assert.deepEqual(after, { ...before, title: 'Kept as it was', version: 2, etag: '2' });
  await until(() => text('#funnel-title'), (t) => t === 'Kept as it was', 'the page shows the change');
});

test('what is in use is not deleted, and it is said by what; then it is', async () => {
  await page.locator('#funnel-list .chip', { hasText: 'Lamps' }).click();
  const ask = async () => {
    await page.click('#definer-delete');
    await page.click('#definer-delete-sure');
  };
  await open('#edit-funnel');
  await ask();
  await until(() => text('#definer-error'), (t) => t.includes('metric/lamps-converted') && t.includes('definition_in_use'), 'the metric is named');
  await page.click('#definer-close');
  await page.locator('#metric-list .chip', { hasText: 'Lamps converted' }).click();
  await open('#edit-metric');
  await ask();
  await closed();
  await until(() => page.locator('#metric-list .chip', { hasText: 'Lamps' }).count(), (n) => n === 0, 'the metric is gone');
  await open('#edit-funnel');
  await ask();
  await closed();
  await until(() => page.locator('#funnel-list .chip', { hasText: 'Lamps' }).count(), (n) => n === 0, 'the funnel is gone');
});

test('a segment is defined, chosen in a step, changed, and not deleted while it is used', async () => {
  const segment = (name) => page.locator('#segment-list .chip', { hasText: name });
  await open('#new-segment');
  await page.keyboard.type('About lamps');
  await page.click('#definer-save');
  await until(() => page.locator('#definer-form .problem').count(), (n) => n > 0, 'a segment without a condition is refused at its field');
  await page.getByRole('button', { name: '+ condition' }).click();
  await pick(page.getByRole('combobox', { name: 'Property', exact: true }), 'prod', 'product');
  await pick(page.getByRole('combobox', { name: 'Values' }), 'la', 'lamp');
  await page.click('#definer-save');
  await closed();
  await until(() => segment('About lamps').count(), (n) => n === 1, 'it is listed');
  await open('#new-funnel');
  await page.fill('#definer-name', 'Of a segment');
  await pick(eventsOf(1), 'view', STEPS[0]);
  await pick(eventsOf(2), 'cart', STEPS[1]);
  const step = page.locator('.step-field').first();
  await step.getByText('Conditions, label').click();
  await step.getByRole('button', { name: '+ segment' }).click();
  await page.click('#definer-save');
  await closed();
  const { funnel } = await admin.unary('DefinitionService', 'GetFunnel', { project: admin.project, funnelId: 'of-a-segment' });
  assert.equal(funnel.steps[0].filter.segmentId, 'about-lamps');
  await segment('About lamps').click();
  await page.waitForSelector('#definer[open]');
  await pick(page.getByRole('combobox', { name: 'Values' }), 'de', 'desk');
  await page.click('#definer-save');
  await closed();
  const changed = await admin.unary('DefinitionService', 'GetSegment', { project: admin.project, segmentId: 'about-lamps' });
  assert.deepEqual(changed.segment.filter.condition.values, ['lamp', 'desk']);
  await segment('About lamps').click();
  await page.waitForSelector('#definer[open]');
  await page.click('#definer-delete');
  await page.click('#definer-delete-sure');
  await until(() => text('#definer-error'), (t) => t.includes('of-a-segment') && t.includes('definition_in_use'), 'the funnel is named');
  await page.click('#definer-close');
});

test('viewers see numbers and no forms', async () => {
  const viewer = await openPage(browser, server.origin, { setup: withToken(await tokenFor('ROLE_VIEWER'), admin.project) });
  await live(viewer);
  await until(() => viewer.locator('#metric-list .chip').count(), (n) => n > 2, 'metrics are listed');
  await until(() => text('#metric-total', viewer), (t) => t !== '–', 'with their numbers');
  for (const id of ['new-funnel', 'new-metric', 'new-segment', 'edit-funnel', 'edit-metric']) assert.equal(await viewer.isVisible(`#${id}`), false, id);
  assert.deepEqual(viewer.errors, []);
  await viewer.context().close();
});

test('on a narrow screen page and form scroll in one direction, light and dark', async () => {
  for (const colorScheme of ['light', 'dark']) {
    const setup = withToken(await tokenFor('ROLE_ANALYST'), admin.project);
    const narrow = await openPage(browser, server.origin, { viewport: { width: 360, height: 740 }, colorScheme, setup });
    await live(narrow);
    await until(() => narrow.locator('#metric-list .chip').count(), (n) => n > 2, 'metrics are listed');
    await narrow.click('#new-funnel');
    await narrow.waitForSelector('#definer[open]');
    await narrow.locator('.step-field summary').first().click();
    await narrow.getByRole('button', { name: '+ condition' }).first().click();
    await narrow.locator('#definer summary', { hasText: 'Advanced' }).click();
    await narrow.getByRole('button', { name: '+ exclusion' }).click();
    const widths = await narrow.evaluate(() => {
      const dialog = document.getElementById('definer');
      return [document.documentElement.scrollWidth, innerWidth, dialog.scrollWidth - dialog.clientWidth];
    });
    assert.deepEqual(widths, [360, 360, 0]);
    assert.deepEqual(narrow.errors, []);
    await narrow.context().close();
  }
});

test('nothing was complained of in the console', () => {
  assert.deepEqual(page.errors, []);
});
