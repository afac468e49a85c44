// What a metric measures, and its values as people read them. Pure.

import { elapsed, percent, plural } from './format.js';

const EVENT_WORDS = {
  COUNT: 'events', UNIQUE_PERSONS: 'persons', SUM: 'sum', AVERAGE: 'average', MIN: 'smallest', MAX: 'largest', PERCENTILES: 'percentiles',
};
const SESSION_WORDS = {
  COUNT: 'sessions', UNIQUE_PERSONS: 'persons with sessions', BOUNCE_RATE: 'bounce rate', AVERAGE_DURATION: 'average length of sessions',
  DURATION_PERCENTILES: 'length of sessions', AVERAGE_EVENTS: 'events a session',
};
const aggregateOf = (term) => (term?.aggregate ?? '').replace('METRIC_AGGREGATE_', '');
const sessionsOf = (sessions) => sessions.aggregate.replace('SESSION_AGGREGATE_', '');

/** Some names in a few words; none is all. */
const named = (events) => (events.length === 0 ? 'all events' : events.slice(0, 3).join(', ') + (events.length > 3 ? ' …' : ''));

function termText(term) {
  const aggregate = aggregateOf(term);
  const word = EVENT_WORDS[aggregate] ?? 'events';
  const what = ['COUNT', 'UNIQUE_PERSONS'].includes(aggregate) ? word : `${word} of ${term.property}`;
  return `${what}: ${named(term.events)}${term.filter ? ', filtered' : ''}`;
}

/** What a metric measures, in a few words. */
export function measureText({ events, ratio, sessions, conversion, breakdown }) {
  const by = breakdown ? `, by ${breakdown.property}` : '';
  if (events) return termText(events) + by;
  if (ratio) return `${termText(ratio.numerator)} / ${termText(ratio.denominator)}${by}`;
  if (sessions) return SESSION_WORDS[sessionsOf(sessions)] + by;
  if (conversion) return `conversion of funnel ${conversion.funnelId}${conversion.step ? `, up to step ${conversion.step}` : ''}${by}`;
  return '';
}

/**
 * How a metric's values are to be read.
 * @returns {{unit: 'number'|'share'|'seconds'|'ratio', adds: boolean, zero: boolean}} `adds`: buckets and rows add up to the total;
 *   `zero`: where nothing happened the value is 0, not missing
 */
export function natureOf({ events, ratio, sessions }) {
  if (events) {
    const aggregate = aggregateOf(events);
    const adds = ['COUNT', 'SUM'].includes(aggregate);
    return { unit: 'number', adds, zero: adds || aggregate === 'UNIQUE_PERSONS' };
  }
  if (ratio) return { unit: 'ratio', adds: false, zero: false };
  if (!sessions) return { unit: 'share', adds: false, zero: false };
  const aggregate = sessionsOf(sessions);
  if (aggregate === 'BOUNCE_RATE') return { unit: 'share', adds: false, zero: false };
  if (aggregate.includes('DURATION')) return { unit: 'seconds', adds: false, zero: false };
  return { unit: 'number', adds: aggregate === 'COUNT', zero: ['COUNT', 'UNIQUE_PERSONS'].includes(aggregate) };
}

/** A ratio that is at most one reads as a share, a greater one as a number: the total decides for all of a metric's values. */
export function unitFor(unit, total) {
  if (unit !== 'ratio') return unit;
  return total?.number >= 0 && total.number <= 1 ? 'share' : 'number';
}

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat('en', { maximumSignificantDigits: 4 });
const exactly = new Intl.NumberFormat('en', { maximumFractionDigits: 20 });

/** One number of a metric, as its unit wants it. */
export function numberText(number, unit) {
  if (unit === 'seconds') return elapsed(number);
  if (unit === 'share') return percent(number, 1);
  return Math.abs(number) >= 1000 || Number.isInteger(number) ? whole.format(number) : fine.format(number);
}

/** The amount in digits, exact. */
export function moneyDigits({ units, nanos }) {
  const sign = nanos < 0 || units < 0 ? '-' : '';
  const fraction = String(Math.abs(nanos)).padStart(9, '0').replace(/0+$/, '');
  return `${sign}${String(units).replace('-', '')}${fraction ? `.${fraction}` : ''}`;
}

export function moneyText(money) {
  const digits = moneyDigits(money);
  try {
    return new Intl.NumberFormat('en', { style: 'currency', currency: money.currency }).format(digits);
  } catch {
    return `${digits} ${money.currency}`;
  }
}

const NAMELESS = { other: 'other', notSet: 'not set', notReached: 'not reached' };

/** What a breakdown's row is called; `own`: it is a value, not the rest of them. */
export function sliceName(value) {
  const [kind = ''] = Object.keys(value ?? {});
  return kind === 'value' ? { own: true, name: value.value } : { own: false, name: NAMELESS[kind] ?? '' };
}

/** Everything a value says, one text a part: plain number, each currency, each percentile. */
export function valueTexts(value, unit) {
  if (!value) return ['–'];
  const texts = [];
  const digits = value.exact && Math.abs(value.number) < 1e6 && value.exact.length < 14;
  if (digits) texts.push(exactly.format(value.exact));
  else if (value.number !== undefined) texts.push(numberText(value.number, unit));
  texts.push(...value.money.map(moneyText));
  texts.push(...value.percentiles.map((p) => `p${p.percentile} ${numberText(p.value, unit)}`));
  if (texts.length === 0) return ['–'];
  return value.approximate ? texts.map((text) => `≈ ${text}`) : texts;
}

/** Why a value is not exact; empty if it is. */
export const approximateText = (value) => (value?.approximate ? `an estimate, standard error ${percent(value.error, 1)}` : '');

/** What a value is made of, where that says more than the value. */
export const samplesText = (value, { zero }) => (value && !zero ? `of ${plural(value.samples, 'value')}` : '');

/**
 * The parts of a value that can be drawn, by the total over everything: {name, axis, text(n), of(value)}. What has one `axis` can share
 * one; plain numbers and each currency are never mixed.
 */
export function tracksOf(total, unit) {
  const text = (n) => numberText(n, unit);
  const percentiles = (total?.percentiles ?? []).map(({ percentile }) => ({
    name: `p${percentile}`, axis: 'percentiles', text, of: (value) => value?.percentiles.find((p) => p.percentile === percentile)?.value,
  }));
  const money = (total?.money ?? []).map(({ currency }) => ({
    name: currency, axis: currency, text: (n) => `${numberText(n, 'number')} ${currency}`, of: (value) => moneyOf(value, currency),
  }));
  const alone = percentiles.length + money.length === 0;
  const number = { name: alone ? '' : 'numbers', axis: 'numbers', text, of: (value) => value?.number };
  return [...(alone || total.number !== undefined ? [number] : []), ...money, ...percentiles];
}

/** What is drawn at a time: without rows all that shares an axis, with rows one part. [{name, tracks}] */
export function chartsOf(tracks, split) {
  const charts = new Map();
  for (const track of tracks) {
    const key = split ? track.name : track.axis;
    const name = !split && track.axis === 'percentiles' ? 'percentiles' : track.name;
    const chart = charts.get(key) ?? { name, tracks: [] };
    charts.set(key, chart);
    chart.tracks.push(track);
  }
  return [...charts.values()];
}

function moneyOf(value, currency) {
  const money = value?.money.find((one) => one.currency === currency);
  return money && Number(money.units) + money.nanos / 1e9;
}
