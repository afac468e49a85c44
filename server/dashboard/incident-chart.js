// The series of an incident as it stands: its last buckets, what is usual, and where the problem is.

import { expectedText, findingText, isProblem } from './alert-text.js';
import { numberText } from './measure.js';

/** What stands for a rule where many series stopped at once. */
export const PIPELINE = 'PIPELINE';
const HOURS_3_MS = 3 * 3_600_000;
const DAYS_2_MS = 48 * 3_600_000;

const known = (number) => number ?? null;

/** A bucket in words: its time, its number, what was found and what was expected. */
export function bucketText(judgement, unit, times) {
  const { from, number, finding } = judgement;
  const value = number === undefined ? 'no number' : numberText(number, unit);
  const parts = [value, findingText(finding), expectedText(judgement, unit)].filter(Boolean);
  return `${times.dayAndClock.format(from)}: ${parts.join('; ')}`;
}

/** What the chart of some judgements shows, as SeriesChart draws it. */
export function chartOf(judgements, unit, times) {
  const starts = judgements.map(({ from }) => from.getTime());
  const long = starts.length > 0 && starts.at(-1) - starts[0] > DAYS_2_MS;
  const problems = judgements.filter(isProblem);
  const text = (n) => numberText(n, unit);
  return {
    starts,
    lines: [
      { name: 'expected', colour: 'rest', dashed: true, values: judgements.map(({ expected }) => known(expected)) },
      { name: '', colour: 0, values: judgements.map(({ number }) => known(number)) },
    ],
    columns: false,
    band: { lows: judgements.map(({ low }) => known(low)), highs: judgements.map(({ high }) => known(high)) },
    corrected: new Set(problems.map(({ from }) => from.getTime())),
    text,
    counts: false,
    time: (ms) => times.dayAndClock.format(ms),
    axis: (ms) => (long ? times.day : times.clock).format(ms),
    words: (i) => bucketText(judgements[i], unit, times),
    label: `The last ${judgements.length} buckets; a problem in ${problems.length} of them. Arrow keys read them.`,
  };
}

/** What has to be known to read the chart of an incident; empty if nothing has. */
export function chartNote(judgements, incident) {
  if (incident.alertRuleId === PIPELINE) return 'Many series stopped at once, so there is no one chart of it.';
  if (judgements.length === 0) return 'Its series is not there any more.';
  const [first] = judgements;
  const ended = (incident.resolvedAt ?? incident.told?.to ?? incident.from).getTime();
  if (ended <= first.from.getTime()) return 'It is older than the buckets that are kept: these are the last ones.';
  const more = first.from - incident.from > HOURS_3_MS ? ' It began before the first of them.' : '';
  return `Shaded: what is usual. Red: a problem.${more}`;
}
