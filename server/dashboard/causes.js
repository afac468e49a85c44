// Why numbers change, and what that is called.

import { integer } from './format.js';

/** What is not an event in its turn. The last three are what the watch says of sessions. */
const CAUSES = {
  CAUSE_LATE_EVENT: { one: 'late event', many: 'late events', badge: 'late', correction: true },
  CAUSE_MERGE: { one: 'merged person', many: 'merged persons', badge: 'merged', correction: true },
  CAUSE_ERASURE: { one: 'erasure', many: 'erasures', badge: 'erased', correction: true },
  CAUSE_DEFINITION: { one: 'change of the definition', many: 'changes of the definition', badge: 'redefined', correction: true },
  CAUSE_WINDOW_MOVED: { one: 'person left the range', many: 'persons left the range', badge: 'left range', correction: false },
  widened: { one: 'session that began earlier', many: 'sessions that began earlier', badge: 'widened', correction: true },
  merged: { one: 'session joined to another', many: 'sessions joined to others', badge: 'joined', correction: true },
  corrected: { one: 'session counted anew', many: 'sessions counted anew', badge: 'corrected', correction: true },
};
const UNNAMED = { one: 'unnamed cause', many: 'unnamed causes', badge: 'corrected', correction: true };

export const causeOf = (cause) => CAUSES[cause] ?? UNNAMED;

/** A mark stays this long, and sums up what is corrected meanwhile. */
export const MARK_MS = 15_000;

/** "12 late events", "3 persons left the range": a notice's amount in words. Of metrics it is not known: `persons` is NaN. */
export function amountOf({ cause, persons }) {
  const { one, many } = causeOf(cause);
  if (Number.isNaN(persons)) return many;
  if (!persons) return `a ${one}`;
  return `${integer(persons)} ${persons === 1 ? one : many}`;
}
