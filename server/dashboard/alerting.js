// Puts together what is about alerts, and what the address shows of the page.

import { Alerts } from './alerts.js';
import { Incident } from './incident.js';
import { Incidents } from './incidents.js';
import { wish } from './place.js';
import { Views } from './views.js';

/**
 * The parts that are about alerts, all with their routines.
 * @param {object} of the session: `client`, `project`, `watch`, `header`, `times`; `rules`, the list of them; `lists` of what the board can
 *   choose from, by kind; `mayChange`: whether this role changes incidents; `elsewhere()` opens the project that the address names; `signal`
 *   ends it all
 */
export function assembleAlerts({ client, project, watch, header, times, rules, lists, mayChange, elsewhere, signal }) {
  const incidents = new Incidents(client, project.id, times, header);
  const incident = new Incident(client, project.id, times, header, mayChange);
  const parts = [incidents, incident, rules];
  const alerts = new Alerts(client, project.id, watch, header, { changed: (one) => parts.forEach((part) => part.take(one)) });
  const views = new Views(project.id, { incidents, incident, 'alert-rules': rules }, { board: () => chooseAgain(lists), elsewhere });
  signal.addEventListener('abort', () => {
    alerts.end();
    views.end();
  });
  return [alerts, ...parts];
}

/** The address may name others by now. */
function chooseAgain(lists) {
  for (const [kind, list] of Object.entries(lists)) {
    const id = wish(kind, list.all);
    if (id && id !== list.chosen?.id) list.choose(id);
  }
}
