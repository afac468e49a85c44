// Chromium, and a page that remembers everything that went wrong in it.

import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export function launch() {
  const executablePath = process.env.CHROMIUM ?? PLACES.find((place) => existsSync(place));
  if (!executablePath) throw new Error('no Chromium: set CHROMIUM, or apt-get install chromium');
  // A profile of its own, and crash reports nowhere else.
  const env = { ...process.env, HOME: mkdtempSync(join(tmpdir(), 'footpath-chromium-')) };
  return chromium.launch({ executablePath, args: FLAGS, env });
}

/**
 * With PAGE_FROM=folder the page comes as it lies in its folder, under the policy that the server gives it: whoever works on it need not
 * build. Else it is the one in the binary.
 */
async function fromFolder(context) {
  const folder = join(dirname(fileURLToPath(import.meta.url)), '..');
  const types = { html: 'text/html', css: 'text/css', svg: 'image/svg+xml', js: 'text/javascript' };
  await context.route(({ pathname }) => pathname === '/' || pathname.startsWith('/assets/'), (route) => {
    const name = new URL(route.request().url()).pathname.split('/').pop() || 'index.html';
    const headers = { 'content-type': types[name.split('.').pop()], 'content-security-policy': "default-src 'self'" };
    return route.fulfill({ body: readFileSync(join(folder, name)), headers });
  });
}

/**
 * Opens a page. `page.errors` gets whatever the console or the page complains of, except that a server that was
 * killed cannot be reached: the browser says so by itself.
 */
export async function openPage(browser, url, { viewport = { width: 1400, height: 1000 }, setup, ...options } = {}) {
  const context = await browser.newContext({ viewport, ...options });
  if (process.env.PAGE_FROM === 'folder') await fromFolder(context);
  const page = await context.newPage();
  page.errors = [];
  page.away = false;
  page.on('pageerror', (error) => page.errors.push(error.stack));
  page.on('console', (message) => {
    const expected = page.away && /net::ERR_/.test(message.text());
    if (['error', 'warning'].includes(message.type()) && !expected) page.errors.push(message.text());
  });
  await setup?.(page);
  await page.goto(url);
  return page;
}

/** Signs a page in with a token before it loads. */
export const withToken = (token, project) => (page) => page.addInitScript(([t, p]) => {
  if (sessionStorage.getItem('footpath.token') !== null) return;
  sessionStorage.setItem('footpath.token', t);
  sessionStorage.setItem('footpath.project', p);
}, [token, project]);

const number = (text) => Number(text.replaceAll(',', ''));

export const stateOf = (page) => page.textContent('#state');

/** Persons at each step, as the page shows them. */
export async function reached(page) {
  const texts = await page.locator('#steps .reached > :first-child').allTextContents();
  return texts.map(number);
}

/** Waits until `read` answers what `good` accepts; fails with the last answer. */
export async function until(read, good, what, ms = 15_000) {
  const end = Date.now() + ms;
  let last;
  do {
    last = await read();
    if (good(last)) return last;
    await new Promise((done) => { setTimeout(done, 50); });
  } while (Date.now() < end);
  throw new Error(`${what}: not within ${ms} ms; at last ${JSON.stringify(last)}`);
}

export const live = (page) => until(() => stateOf(page), (s) => s === 'live', 'the page is live');
