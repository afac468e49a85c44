// What alerts say, in words. Pure.

import { elapsed, percent, plural } from './format.js';
import { numberText, sliceName } from './measure.js';

const STATES = { OPEN: 'open', ACKNOWLEDGED: 'acknowledged', RESOLVED: 'over' };
const KINDS = {
  OPENED: 'It began', ESCALATED: 'It became clearly worse', ACKNOWLEDGED: 'Acknowledged', RESOLVED: 'It is over', REOPENED: 'It fell back',
  COMMENTED: 'Remark', MUTED: 'Muted', ASSIGNED: 'Assigned', ACTED: 'Something was done', COMPARED: 'Before and after',
};
const FINDINGS = {
  FINE: 'fine', PROBLEM: 'a problem', LEARNING: 'still learning', TOO_LITTLE: 'too little to be judged', LATE: 'events are on their way',
  MISSING: 'no event of the project came', DOWN: 'the server did not run all the time', CHANGED: 'the level changed for good',
};
const DRIVERS = { VOLUME: 'more or less of it', RATE: 'its own number changed', MIX: 'its share of all changed' };

const short = (name = '', prefix) => String(name).replace(prefix, '');

/** "critical", "warning" or "info"; what is not said is a warning. */
export function severityOf(severity) {
  const name = short(severity, 'ALERT_SEVERITY_').toLowerCase();
  return ['critical', 'info'].includes(name) ? name : 'warning';
}

const WORST = ['critical', 'warning', 'info'];

/** The worst severity of some incidents; empty for none. */
export const worstOf = (incidents) => WORST.find((name) => incidents.some((one) => severityOf(one.severity) === name)) ?? '';

export const isOver = (incident) => incident.state === 'INCIDENT_STATE_RESOLVED';

/** Open ones first, the worst before the others, the newest before the older. */
export function inOrder(incidents) {
  const rank = (one) => (isOver(one) ? WORST.length : WORST.indexOf(severityOf(one.severity)));
  return [...incidents].sort((a, b) => rank(a) - rank(b) || b.openedAt - a.openedAt);
}

export const stateText = (incident) => STATES[short(incident.state, 'INCIDENT_STATE_')] ?? 'unknown';

/** Whether nobody is told at `now`, in ms. */
export const isMuted = (until, now) => Boolean(until) && until.getTime() > now;

export const kindText = (kind) => KINDS[short(kind, 'ALERT_KIND_')] ?? 'Something happened';

/** What happened to an incident, with the end of a mute as `moment` writes it. */
export function happenedText({ kind, mutedUntil }, moment) {
  if (kind !== 'ALERT_KIND_MUTED') return kindText(kind);
  return mutedUntil ? `Muted until ${moment(mutedUntil)}` : 'No longer muted';
}

export const findingText = (finding) => FINDINGS[short(finding, 'ALERT_FINDING_')] ?? '';

export const isProblem = (judgement) => judgement?.finding === 'ALERT_FINDING_PROBLEM';

/** Which value of the breakdown it is about; empty without one. */
export const valueText = (value) => (value ? sliceName(value).name : '');

/** How long an incident lasted or has lasted, in words. */
export function lastedText({ from, resolvedAt }, now) {
  const end = resolvedAt ? resolvedAt.getTime() : now;
  return elapsed(Math.max(0, Math.round((end - from.getTime()) / 1000)));
}

/** A span that may be open to one side, in words: `both` joins its ends; empty without any. */
function spanText(low, high, { both, least, most }) {
  if (low !== undefined && high !== undefined) return both(low, high);
  return low !== undefined ? least(low) : high !== undefined ? most(high) : '';
}

const USUAL = { both: (low, high) => `${low} to ${high} is usual`, least: (low) => `${low} or more is usual`, most: (high) => `up to ${high} is usual` };
const ALLOWED = {
  both: (low, high) => `allowed is ${low} to ${high}`, least: (low) => `allowed is at least ${low}`, most: (high) => `allowed is at most ${high}`,
};
/** A bound that follows from an earlier number is crossed as soon as it is reached. */
const CHANGED = {
  both: (low, high) => `allowed is between ${low} and ${high}`, least: (low) => `allowed is more than ${low}`, most: (high) => `allowed is less than ${high}`,
};

/**
 * What was expected of a bucket: "0.02 expected; 0 to 0.05 is usual". Only what was learned is usual, and has a probability; of a bound that
 * somebody set it is "allowed is at most 0.2", of a change "compared with 0.1; allowed is less than 0.2".
 */
export function expectedText({ expected, low, high, pValue }, unit) {
  const text = (number) => (number === undefined ? undefined : numberText(number, unit));
  const span = (words) => spanText(text(low), text(high), words);
  const joined = (parts) => parts.filter(Boolean).join('; ');
  if (pValue !== undefined) return joined([`${text(expected)} expected`, span(USUAL)]);
  if (expected === undefined || expected === low || expected === high) return span(ALLOWED);
  const bounds = span(CHANGED);
  return joined([bounds ? `compared with ${text(expected)}` : `${text(expected)} expected`, bounds]);
}

/** How complete the numbers were: "everything received before 12:03:05 is counted; 0 events are known to be missing". */
export function completenessText(completeness, time) {
  if (!completeness?.processed) return '';
  const { processed, expected } = completeness;
  const missing = `${plural(expected, 'event')} ${Number(expected) === 1 ? 'is' : 'are'} known to be missing`;
  return `Everything received before ${time(processed)} is counted; ${missing}.`;
}

/** What a value of a property has to do with it: its name, its share of the change, how it moved, and its numbers. */
export function driverParts({ property, value, kind, contribution, before, after }, unit) {
  const number = (n) => (n === undefined ? '–' : numberText(n, unit));
  return {
    name: `${property?.property ?? ''} = ${valueText(value)}`,
    share: percent(contribution, 1),
    how: DRIVERS[short(kind, 'DRIVER_KIND_')] ?? '',
    numbers: before === undefined && after === undefined ? '' : `${number(before)} → ${number(after)}`,
  };
}
