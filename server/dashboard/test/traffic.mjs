// A small shop: persons who look, fill a cart, and some of them pay.

import { randomUUID } from 'node:crypto';

export const STEPS = ['product_viewed', 'cart_filled', 'checkout_started', 'payment_made'];
/** Chance to go on from each step to the next. */
const GOES_ON = [0.62, 0.7, 0.8];
const PRODUCTS = ['lamp', 'chair', 'desk', 'shelf', 'mug', 'clock'];
const PLATFORMS = ['android', 'ios', 'web'];

/** A funnel over the shop's steps. */
export const shopFunnel = (id, title, steps = STEPS) => ({
  id, title, steps: steps.map((name) => ({ events: [name], label: name.replace('_', ' ') })), window: 3600,
  range: { last: { count: 1, unit: 'TIME_UNIT_DAY' } },
});

/** Numbers from 0 to 1 that a seed repeats (mulberry32). */
export function random(seed) {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One person's visit: its events, one `pause` ms apart, the first at `start`. */
export function visit(next, start, pause) {
  const anonymousId = `install-${randomUUID().slice(0, 8)}`;
  const product = PRODUCTS[Math.floor(next() * PRODUCTS.length)];
  const platform = PLATFORMS[Math.floor(next() * PLATFORMS.length)];
  const events = [];
  for (let step = 0; step < STEPS.length; step += 1) {
    const plainProperties = { product, platform, ...(step === 3 ? { amount: Math.round(2000 * next()) / 100 } : {}) };
    events.push({ id: randomUUID(), name: STEPS[step], time: new Date(start + step * pause), anonymousId, plainProperties });
    if (next() > (GOES_ON[step] ?? 0)) break;
  }
  return events;
}

export const send = (sender, events) => sender.unary('IngestService', 'Ingest', { batchId: randomUUID(), sentAt: new Date(), events });

/** Sends visits at about `rate` events a second until stopped; a server that is away is waited for. */
export function flow(sender, { rate = 20, seed = 1 } = {}) {
  const next = random(seed);
  let going = true;
  const done = (async () => {
    while (going) {
      const events = Array.from({ length: Math.max(1, Math.round(rate / 20)) }, () => visit(next, Date.now() - 3000, 500)).flat();
      try {
        await send(sender, events);
      } catch (error) {
        if (!error.code) throw error;
      }
      await new Promise((wake) => { setTimeout(wake, 100); });
    }
  })();
  return async () => {
    going = false;
    await done;
  };
}

/** A person whose first event arrives after the second: the funnel is corrected by a late event. */
export async function lateVisitor(sender) {
  const anonymousId = `late-${randomUUID().slice(0, 8)}`;
  const event = (name, ago) => ({ id: randomUUID(), name, time: new Date(Date.now() - ago), anonymousId });
  await send(sender, [event(STEPS[1], 30_000)]);
  await send(sender, [event(STEPS[0], 60_000)]);
}
