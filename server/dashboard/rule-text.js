// What an alert rule says and how it stands, in words. Pure.

import { findingText, isMuted, isProblem, valueText } from './alert-text.js';
import { bucketText } from './incident-chart.js';
import { numberText } from './measure.js';

/** What a metric can be cut into for a rule, and how often that is. */
export const EVERY = [['MINUTE', 'minute'], ['QUARTER_HOUR', 'quarter hour'], ['HOUR', 'hour'], ['DAY', 'day']].map(([name, text]) => [`METRIC_BUCKET_UNIT_${name}`, text]);
export const AGAINST = [['WEEK', 'the same a week before'], ['DAY', 'the same a day before'], ['PREVIOUS', 'the one before']].map(([name, text]) => [`ALERT_BASELINE_${name}`, text]);
export const DIRECTIONS = [['UNSPECIFIED', 'up or down'], ['UP', 'up'], ['DOWN', 'down']].map(([name, text]) => [`ALERT_DIRECTION_${name}`, text]);

const named = (list, value) => list.find(([name]) => name === value)?.[1];

const perCent = (number) => `${numberText(number, 'number')} %`;

/** The set ones of some parts, with "or" between them. */
const either = (parts) => parts.filter(([number]) => number !== undefined).map(([number, text]) => text(number)).join(' or ');

/** What a problem is: "above 20 %", "50 % less than the same a week before". */
export function conditionText({ threshold, change, anomaly, noData }, unit) {
  if (threshold) return either([[threshold.above, (n) => `above ${numberText(n, unit)}`], [threshold.below, (n) => `below ${numberText(n, unit)}`]]);
  if (change) {
    const against = named(AGAINST, change.against) ?? AGAINST[0][1];
    return `${either([[change.upPercent, (n) => `${perCent(n)} more`], [change.downPercent, (n) => `${perCent(n)} less`]])} than ${against}`;
  }
  if (anomaly) {
    const rate = numberText(anomaly.falseAlertsPerMonth || 1, 'number');
    return `unusual, ${named(DIRECTIONS, anomaly.direction) ?? DIRECTIONS[0][1]}; about ${rate} false a month`;
  }
  return noData ? 'nothing comes any more' : '';
}

/** How often it is judged, and how many buckets in a row have to be a problem. */
export function everyText({ every, forBuckets }) {
  const unit = named(EVERY, every) ?? EVERY[0][1];
  return forBuckets > 1 ? `every ${unit}, ${forBuckets} in a row` : `every ${unit}`;
}

/** How a rule stands: {name, text}; `name` is one word. `answer` is null while that is not known. */
export function ruleState({ disabled }, answer, now, moment) {
  if (disabled) return { name: 'off', text: 'switched off' };
  if (!answer) return { name: 'unknown', text: '…' };
  if (isMuted(answer.mutedUntil, now)) return { name: 'muted', text: `muted until ${moment(answer.mutedUntil)}` };
  if (answer.state === 'DEFINITION_STATE_BACKFILLING') return { name: 'back-filling', text: 'back-filling from stored events' };
  return { name: 'judging', text: 'judging' };
}

/** What was found last: the series that is a problem before the others. */
export function lastFinding({ series }, unit, times) {
  const last = series.filter((one) => one.judgements.length > 0).map((one) => ({ value: one.value, judgement: one.judgements.at(-1) }));
  if (last.length === 0) return 'Nothing is judged yet.';
  const problems = last.filter(({ judgement }) => isProblem(judgement));
  const { value, judgement } = problems[0] ?? last[0];
  const text = `${valueText(value) ? `${valueText(value)}, ` : ''}${bucketText(judgement, unit, times)}`;
  if (last.length === 1) return text;
  const bad = problems.length > 0 ? `, ${problems.length} with ${findingText(judgement.finding)}` : '';
  return `${last.length} series${bad}: ${text}`;
}
