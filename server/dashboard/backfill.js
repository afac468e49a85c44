// How far a definition's back-fill is: of one that has no numbers yet, or of the version that will take the place of the one shown.

import { $, setText } from './dom.js';

/** Into the elements whose ids begin with `prefix`. */
export function drawBackfill(prefix, { percent, next }) {
  $(`${prefix}backfill-bar`).value = next ? next.backfillPercent : percent;
  const text = next ? `Version ${next.version} is counted from stored events: ${next.backfillPercent} %` : `Backfilling from stored events: ${percent} %`;
  setText($(`${prefix}backfill-text`), text);
}
