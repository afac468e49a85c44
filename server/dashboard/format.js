// Numbers and times as people read them.

const grouped = new Intl.NumberFormat('en');

export const integer = (n) => grouped.format(n);

export const signed = (n) => (Number(n) < 0 ? `−${integer(-Number(n))}` : `+${integer(n)}`);

/** A share in per cent, or a dash where there is nothing to divide by. What is not all or nothing never looks so. */
export function percent(part, whole) {
  if (!(Number(whole) > 0)) return '–';
  const share = (100 * Number(part)) / Number(whole);
  if (share > 0 && share < 0.05) return '<0.1 %';
  if (share < 100 && share >= 99.95) return '>99.9 %';
  return `${share.toFixed(1)} %`;
}

export const plural = (n, one, many = `${one}s`) => `${integer(n)} ${Number(n) === 1 ? one : many}`;

/** Local wall-clock time, hh:mm:ss. */
export const clockTime = (date) => date.toTimeString().slice(0, 8);

/** How moments are read in a time zone, each with `format(ms)`, and `moment(date)`: "Sat 28 Nov, 08:03:42". */
export function timesIn(zone) {
  const formats = (options) => new Intl.DateTimeFormat('en-GB', { ...options, timeZone: zone || 'UTC', hourCycle: 'h23' });
  const clock = { hour: '2-digit', minute: '2-digit' };
  const day = { weekday: 'short', day: 'numeric', month: 'short' };
  const seconds = formats({ ...day, ...clock, second: '2-digit' });
  return {
    clock: formats(clock), day: formats({ day: 'numeric', month: 'short' }), dayAndClock: formats({ ...day, ...clock }),
    wholeDay: formats({ ...day, year: 'numeric' }), moment: (date) => seconds.format(date.getTime()),
  };
}

/** A short span of time: "3.4 ms", "120 ms", "2.5 s", "4 min". */
export function span(ms) {
  if (ms < 10) return `${Math.max(0, ms).toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 3_600_000)} h`;
}

/** A Timestamp in ms since 1970 with its fraction: a Date alone stops at whole milliseconds. */
export const preciseMs = (date) => (date.nanos === undefined ? date.getTime() : Math.floor(date.getTime() / 1000) * 1000 + date.nanos / 1e6);

/** A duration that somebody chose: "1 h", "90 min". */
export function durationText(seconds) {
  for (const [size, name] of [[86_400, 'd'], [3600, 'h'], [60, 'min']]) {
    if (seconds >= size && seconds % size === 0) return `${seconds / size} ${name}`;
  }
  return `${seconds} s`;
}

/** A duration that was measured: "8.3 s", "3 min 20 s", "1 h 5 min". */
export function elapsed(seconds) {
  if (seconds < 59.95) return `${Number(seconds.toFixed(1))} s`;
  const [size, name, small, smallName] = seconds < 3600 ? [60, 'min', 1, 's'] : seconds < 86_400 ? [3600, 'h', 60, 'min'] : [86_400, 'd', 3600, 'h'];
  const smalls = Math.round(seconds / small);
  const whole = Math.floor((smalls * small) / size);
  const rest = Math.round((smalls * small - whole * size) / small);
  return rest > 0 ? `${whole} ${name} ${rest} ${smallName}` : `${whole} ${name}`;
}

function rangeText(range) {
  if (range?.last) {
    const { count, unit } = range.last;
    const name = unit.replace('TIME_UNIT_', '').toLowerCase();
    return count === 1 ? `last ${name}` : `last ${count} ${name}s`;
  }
  if (range?.current) return range.current === 'CALENDAR_RANGE_TODAY' ? 'today' : 'this week';
  if (range?.fixed) return `${range.fixed.from} to ${range.fixed.to}`;
  return '';
}

const ORDERS = { FUNNEL_ORDER_STRICT: 'nothing in between', FUNNEL_ORDER_ANY: 'in any order', FUNNEL_ORDER_ANY_AFTER_FIRST: 'in any order after the first' };
const COUNTED = { FUNNEL_COUNTING_CONVERSIONS: 'attempts', FUNNEL_COUNTING_SESSIONS: 'sessions', FUNNEL_COUNTING_GROUPS: 'groups' };

/** What a funnel counts: "persons", "attempts". */
export const countedText = ({ counting }) => COUNTED[counting] ?? 'persons';

/** How a funnel counts, in a few words: "last 7 days, within 1 h of the first step". */
export function definitionText({ range, window, windowFrom, order }) {
  const from = windowFrom === 'FUNNEL_WINDOW_FROM_PREVIOUS_STEP' ? 'the step before' : 'the first step';
  const parts = [rangeText(range), window ? `within ${durationText(window)} of ${from}` : '', ORDERS[order]];
  return parts.filter(Boolean).join(', ');
}
