// Alerts on the page in Chromium against the real binary (FOOTPATH_BIN): a rule, an incident, and what is done about it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launch, live, openPage, until, withToken } from './browser.mjs';
import { Server } from './server.mjs';
import { send } from './traffic.mjs';

/** A rule by the minute tells a minute after the end of one; then it takes as long as anything does on a busy machine. */
const MINUTE_AND_MORE = 240_000;
const HOSTILE = '<img src=x onerror="document.title=1">';

let browser;
let server;
let admin;
let sender;
let page;
let incidentId;

const text = (selector, p = page) => p.textContent(selector);
const texts = (selector, p = page) => p.locator(selector).allTextContents();
const define = (method, request) => admin.unary('DefinitionService', method, { project: admin.project, ...request });
const alertService = (method, request) => admin.unary('AlertService', method, { project: admin.project, ...request });
const tokenFor = async (role) => (await admin.unary('AdminService', 'CreateToken', {
  subject: role, role, projects: [admin.project], lifetime: 3600,
})).token;
const openAt = async (hash, options = {}) => {
  const setup = withToken(await tokenFor(options.role ?? 'ROLE_ANALYST'), admin.project);
  const opened = await openPage(browser, `${server.origin}/${hash}`, { ...options, setup });
  await live(opened);
  return opened;
};
const leave = async (p) => {
  assert.deepEqual(p.errors, []);
  await p.context().close();
};
const fact = (name, p = page) => p.locator('#incident-facts > div', { has: p.locator('dt', { hasText: new RegExp(`^${name}$`) }) }).locator('dd').textContent();

before(async () => {
  assert.ok(process.env.FOOTPATH_BIN, 'FOOTPATH_BIN names the binary; ./test.sh sets it');
  [server, browser] = await Promise.all([Server.start(process.env.FOOTPATH_BIN), launch()]);
  sender = server.sender();
  page = await openPage(browser, server.link);
  await live(page);
  admin = server.bearer(await page.evaluate(() => sessionStorage.getItem('footpath.token')));
  const events = { events: ['paid'], aggregate: 'METRIC_AGGREGATE_COUNT' };
  await define('CreateMetric', { metric: { id: 'payments', title: `Payments ${HOSTILE}`, events } });
});

after(async () => {
  await browser?.close();
  await server?.remove();
});

test('without rules and incidents it says what to do', async () => {
  await page.click('#incident-badge');
  await until(() => page.isVisible('#no-open-incidents'), Boolean, 'there is no incident');
  await page.click('#to-alert-rules');
  await until(() => page.isVisible('#no-alert-rules'), Boolean, 'there is no rule');
  assert.match(await text('#no-alert-rules'), /New alert rule/);
});

test('a rule is made in the form, after a simulation', async () => {
  await page.click('#new-alert-rule');
  await page.fill('#definer-name', 'Many payments');
  assert.equal(await page.inputValue('#definer-id'), 'many-payments');
  await page.click('text=Simulate');
  await until(() => text('#definer .note.bad'), (t) => t.includes('threshold'), 'what is missing is said');
  await page.locator('#definer').getByLabel('A problem above').fill('2.5');
  await page.locator('#definer').getByLabel('Owner').fill('ann');
  await page.locator('#definer').getByLabel('Link to what is to be done').fill('https://example.com/runbook');
  await page.click('text=Simulate');
  await until(() => text('#definer [aria-label="Simulation"]'), (t) => /nothing|6 days/.test(t), 'the simulation ends');
  await page.click('#definer-save');
  await until(() => texts('#alert-rule-list .rule-state'), (states) => states.join() === 'judging', 'the rule judges');
  assert.match(await text('#alert-rule-list .facts'), /above 2\.5.*every minute.*owner ann/);
});

test('an incident appears by itself: badge, toast without focus, and the list', async () => {
  await page.click('#to-incidents');
  const board = await openAt('');
  await board.focus('#metric-range input');
  const focused = () => board.evaluate(() => document.activeElement.closest('fieldset, div')?.id);
  const focus = await focused();
  await send(sender, Array.from({ length: 5 }, () => ({ name: 'paid', userId: 'u' })));
  await until(() => text('#incident-badge', board), (t) => t === '1 open incident', 'the badge counts it', MINUTE_AND_MORE);
  assert.equal(await board.getAttribute('#incident-badge', 'data-severity'), 'warning');
  await until(() => text('#toast', board), (t) => t.includes('It began: Many payments: 5'), 'a toast tells of it');
  assert.equal(await focused(), focus, 'the focus stays where it was');
  await until(() => texts('#open-incidents .summary'), (all) => all.length === 1 && all[0].includes('allowed is at most 2.5'), 'the open list has it');
  await board.click('#toast a');
  await until(() => text('#incident-title', board), (t) => t === 'Many payments', 'the toast leads to it');
  [, incidentId] = board.url().match(/#\/default\/incidents\/([0-9a-f]{16})$/);
  assert.equal(await text('#toast', board), '');
  await board.click('#to-board');
  await until(() => board.isVisible('#metric'), Boolean, 'and back to the numbers');
  await leave(board);
});

test('one incident: what was seen, how complete it was, its chart and its story', async () => {
  await page.click('#open-incidents a');
  await until(() => page.isVisible('#incident-known'), Boolean, 'it is shown');
  assert.equal(await fact('Owner'), 'ann');
  assert.equal(await fact('Metric'), `Payments ${HOSTILE}`);
  assert.equal(await page.getAttribute('#incident-facts a[target]', 'href'), 'https://example.com/runbook');
  assert.match(await text('#incident-complete'), /^Everything received before .* is counted; 0 events are known to be missing\.$/);
  assert.match(await text('#incident-told'), /5; allowed is at most 2\.5/);
  await page.focus('#incident-chart [role="img"]');
  await page.keyboard.press('Home');
  assert.match(await text('#incident-readout'), /: (5|0|no number); /);
  assert.deepEqual(await texts('#incident-story strong'), ['It began']);
});

test('it is acknowledged from the page, and whoever looks at the list sees it', async () => {
  const other = await openAt('#/default/incidents');
  await until(() => text('#open-incidents .facts', other), (t) => t.includes(' · open'), 'it is open');
  await page.click('#incident-acknowledge');
  await until(() => fact('State'), (state) => state === 'acknowledged', 'the page says so');
  await until(() => text('#open-incidents .facts', other), (t) => t.includes('acknowledged'), 'the other page too');
  const { incident } = await alertService('GetIncident', { incidentId });
  assert.equal(incident.state, 'INCIDENT_STATE_ACKNOWLEDGED');
  await page.reload();
  await until(() => fact('State').catch(() => ''), (state) => state === 'acknowledged', 'it survives a reload');
  assert.equal(await page.isVisible('#incident-acknowledge'), false);
  await leave(other);
});

test('remarks, owner, mute and what was done stand in its story, as text', async () => {
  await page.fill('#incident-text', HOSTILE);
  await page.click('#incident-comment');
  await until(() => texts('#incident-story li'), (all) => all.some((t) => t.includes(HOSTILE)), 'the remark is there');
  assert.equal(await page.inputValue('#incident-text'), '');
  await page.fill('#incident-text', 'Restarted it');
  await page.click('#incident-action');
  await until(() => texts('#incident-actions li'), ([t]) => /^Restarted it.*compared once there are enough/.test(t), 'what was done is there');
  await page.fill('#incident-owner', 'bob');
  await page.keyboard.press('Enter');
  await until(() => fact('Owner'), (owner) => owner === 'bob', 'bob looks after it');
  await page.click('#incident-mute-hour');
  await until(() => page.isVisible('#incident-unmute'), Boolean, 'it is muted');
  await until(() => texts('#incident-story strong'), (all) => all.some((t) => /^Muted until \w{3} \d+ \w{3}, [\d:]{8}$/.test(t)), 'its story says until when');
  await page.click('#incident-unmute');
  await until(() => page.isVisible('#incident-mute-day'), Boolean, 'and not any more');
  await until(() => texts('#incident-story strong'), (all) => all.includes('No longer muted'), 'which it says as well');
  assert.equal(await page.locator('#alerts img').count(), 0);
});

test('a viewer is told who may do something', async () => {
  const viewer = await openAt(`#/default/incidents/${incidentId}`, { role: 'ROLE_VIEWER' });
  await until(() => viewer.isVisible('#incident-may-not'), Boolean, 'the reason is given');
  assert.equal(await viewer.isVisible('#incident-acts'), false);
  await viewer.click('#to-alert-rules');
  await until(() => texts('#alert-rule-list li', viewer), (all) => all.length === 1, 'rules are listed');
  assert.equal(await viewer.locator('#alert-rules button:visible').count(), 0);
  await leave(viewer);
});

test('a link to an incident that is opened without a sign-in leads to it after one', async () => {
  const stranger = await openPage(browser, `${server.origin}/#/${admin.project}/incidents/${incidentId}`);
  await until(() => stranger.isVisible('#sign-in'), Boolean, 'it asks for a token');
  await stranger.fill('#token-input', await tokenFor('ROLE_VIEWER'));
  await stranger.click('#sign-in-form button');
  await until(() => text('#incident-title', stranger), (t) => t === 'Many payments', 'the incident is shown');
  await leave(stranger);
});

test('an incident that is resolved is among the past ones, and the badge forgets it', async () => {
  await page.click('#incident-resolve');
  await until(() => fact('State'), (state) => state === 'over', 'it is over');
  assert.equal(await page.isVisible('#incident-mute-hour'), false);
  await until(() => text('#incident-badge'), (t) => t === 'Incidents', 'none is open');
  await page.click('#to-incidents');
  await until(() => texts('#past-incidents li'), (all) => all.length === 1 && all[0].includes('bob'), 'it is past');
  const gone = await openAt('#/default/incidents/ffffffffffffffff');
  await until(() => text('#incident-error', gone), (t) => t.includes('no such incident'), 'a link to none says so');
  await leave(gone);
});

test('a rule is changed, muted and deleted; what the form does not know stays', async () => {
  const { alertRule } = await define('GetAlertRule', { alertRuleId: 'many-payments' });
  await define('UpdateAlertRule', { alertRule: { ...alertRule, cooldown: 600, minEffect: 1.5, environments: ['prod', 'staging'] } });
  await page.click('#to-alert-rules');
  await page.getByRole('button', { name: 'Change: Many payments' }).click();
  await page.locator('#definer').getByLabel('It is a problem if').selectOption('change');
  await page.locator('#definer').getByLabel('A problem if so many per cent less').fill('50');
  await page.locator('#definer').getByLabel('So many in a row').fill('2');
  await page.click('#definer-save');
  await until(() => text('#alert-rule-list .facts'), (t) => t.includes('50 % less than the same a week before · every minute, 2 in a row'), 'it is changed');
  const { alertRule: changed } = await define('GetAlertRule', { alertRuleId: 'many-payments' });
  assert.deepEqual([changed.cooldown, changed.minEffect, changed.environments, changed.owner], [600, 1.5, ['prod', 'staging'], 'ann']);
  await page.getByRole('button', { name: 'Mute for 1 h: Many payments' }).click();
  await until(() => text('#alert-rule-list .rule-state'), (t) => t.startsWith('muted until'), 'it is muted');
  await page.getByRole('button', { name: 'Change: Many payments' }).click();
  await page.click('#definer-delete');
  await page.click('#definer-delete-sure');
  await until(() => page.isVisible('#no-alert-rules'), Boolean, 'it is gone');
});

test('who is told, for which values, and when stands in the form', async () => {
  const rule = page.locator('#definer');
  await page.click('#new-alert-rule');
  await page.waitForSelector('#definer[open]');
  assert.match(await rule.getByRole('group', { name: 'Who is told' }).textContent(), /none yet.*footpath destinations add/);
  await page.click('#definer-close');
  const email = { to: ['ann@example.com'] };
  await alertService('CreateDestination', { destination: { id: 'ann', title: `Ann ${HOSTILE}`, email, minSeverity: 'ALERT_SEVERITY_CRITICAL' } });
  await alertService('CreateDestination', { destination: { id: 'ben', email: { to: ['ben@example.com'] } } });
  await page.click('#new-alert-rule');
  await page.waitForSelector('#definer[open]');
  await page.fill('#definer-name', 'By plan');
  await rule.getByLabel('A problem above').fill('9');
  await rule.getByLabel(`Ann ${HOSTILE}, email, from critical on`).check();
  await rule.locator('summary', { hasText: 'Advanced' }).click();
  const waits = rule.locator('[data-path="delay"]');
  assert.deepEqual([await waits.locator('input').inputValue(), await waits.locator('select').inputValue()], ['1', 'min']);
  await waits.locator('input').fill('2');
  await rule.locator('[data-path="cooldown"] input').fill('32');
  await rule.locator('[data-path="cooldown"] select').selectOption('d');
  await rule.getByRole('combobox', { name: 'Each value of', exact: true }).fill('plan');
  await rule.getByLabel('So many values').fill('5');
  await rule.getByRole('button', { name: 'Simulate' }).click();
  await until(() => rule.locator('[aria-label="Simulation"]').textContent(), (t) => t.includes('cooldown'), 'what is wrong is said before it is saved');
  await page.click('#definer-save');
  await until(() => texts('#definer [data-path="cooldown"] .problem'), (all) => all.length === 1 && all[0].includes('31 days'), 'and at its field');
  await rule.locator('[data-path="cooldown"] input').fill('3');
  await page.click('#definer-save');
  await until(() => define('GetAlertRule', { alertRuleId: 'by-plan' }).catch(() => null), Boolean, 'it is saved');
  const { alertRule } = await define('GetAlertRule', { alertRuleId: 'by-plan' });
  assert.deepEqual([alertRule.destinations, alertRule.delay, alertRule.cooldown, alertRule.top], [['ann'], 120, 3 * 86_400, 5]);
  assert.equal(alertRule.breakdown.property, 'plan');
  if (await page.isVisible('#definer[open]')) await page.click('#definer-close'); // The property was never seen, which it says.
  await changedAgain(rule);
});

/** The same rule again: what was chosen is chosen, and can be taken back. */
async function changedAgain(rule) {
  await page.getByRole('button', { name: 'Change: By plan' }).click();
  await page.waitForSelector('#definer[open]');
  assert.equal(await rule.locator('details').evaluate((node) => node.open), true);
  await rule.getByLabel(/^Ann/).uncheck();
  await rule.getByLabel('ben, email').check();
  await rule.getByRole('combobox', { name: 'Each value of', exact: true }).fill('');
  await rule.locator('[data-path="cooldown"] input').fill('');
  await page.click('#definer-save');
  const saved = async () => (await define('GetAlertRule', { alertRuleId: 'by-plan' })).alertRule;
  const changed = await until(saved, ({ version }) => Number(version) > 1, 'it is changed');
  assert.deepEqual([changed.destinations, changed.breakdown, changed.top, changed.cooldown, changed.delay], [['ben'], undefined, 0, undefined, 120]);
  await page.getByRole('button', { name: 'Change: By plan' }).click();
  await page.click('#definer-delete');
  await page.click('#definer-delete-sure');
  await until(() => page.isVisible('#no-alert-rules'), Boolean, 'it is gone');
}

test('a narrow screen scrolls in one direction only, light and dark', async () => {
  for (const colorScheme of ['light', 'dark']) {
    const narrow = await openAt('#/default/incidents', { viewport: { width: 390, height: 844 }, colorScheme });
    for (const hash of ['#/default/incidents', `#/default/incidents/${incidentId}`, '#/default/alert-rules']) {
      await narrow.evaluate((to) => { location.hash = to; }, hash);
      await until(() => narrow.locator('#past-incidents li:visible, #incident-known:visible, #no-alert-rules:visible').count(), (n) => n > 0, `${hash} is shown`);
      assert.equal(await narrow.evaluate(() => document.documentElement.scrollWidth), 390);
    }
    await leave(narrow);
  }
});

test('nothing was complained of in the console', () => {
  assert.deepEqual(page.errors, []);
});
