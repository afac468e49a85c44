// Draws one incident: what it is, its chart, what may be behind it, what was done, and its story.

import {
  completenessText, driverParts, expectedText, happenedText, isMuted, isOver, lastedText, stateText, valueText,
} from './alert-text.js';
import { $, el, setText } from './dom.js';
import { bucketText, chartNote, chartOf, PIPELINE } from './incident-chart.js';
import { severityMark, titleText } from './incidents.js';
import { natureOf, numberText, unitFor } from './measure.js';
import { addressOf } from './place.js';
import { SeriesChart } from './series-chart.js';

const LINK = /^https?:\/\//;

export class IncidentView {
  #chart = new SeriesChart($('incident-chart'), $('incident-readout'));

  constructor(project, times, header) {
    Object.assign(this, { project, times, header });
  }

  /** @param {object} read an incident, its events, its series and its metric; the last two null where they are gone */
  draw({ incident, events, series, metric }) {
    const judgements = series?.judgements ?? [];
    const unit = unitOf(metric, [...judgements, incident.told]);
    this.#drawHead(incident, metric);
    this.#drawChart(judgements, incident, unit);
    this.#drawTold(incident, unit);
    this.#drawDrivers(incident, unit);
    fill('incident-annotations', incident.annotations.map((one) => this.#annotation(one)));
    fill('incident-actions', incident.actions.map((one) => this.#action(one)));
    fill('incident-story', events.map((one) => this.#event(one, unit)));
  }

  #drawHead(incident, metric) {
    $('incident-severity').replaceChildren(severityMark(incident));
    setText($('incident-title'), titleText(incident));
    setText($('incident-summary'), incident.summary);
    const now = this.header.serverNow();
    const { runbook, metricId, mutedUntil, environments, value } = incident;
    const facts = [
      ['State', stateText(incident)],
      ['Since', this.times.moment(incident.from)],
      [isOver(incident) ? 'Lasted' : 'For', lastedText(incident, now)],
      ['Value', valueText(value)],
      ['Owner', incident.owner || 'nobody'],
      ['Muted until', isMuted(mutedUntil, now) ? this.times.moment(mutedUntil) : ''],
      ['Environments', environments.join(', ')],
      ['Rule', incident.alertRuleId !== PIPELINE && el('a', { href: addressOf(this.project, 'alert-rules'), textContent: incident.alertRuleId })],
      ['Metric', metricId && el('a', { href: `#${new URLSearchParams({ metric: metricId })}`, textContent: metric?.title || metricId })],
      ['What is to be done', runbook && runbookNode(runbook)],
    ];
    $('incident-facts').replaceChildren(...facts.filter(([, text]) => text).map(([name, text]) => el('div', {}, el('dt', { textContent: name }), el('dd', {}, text))));
  }

  #drawChart(judgements, incident, unit) {
    $('incident-chart').hidden = judgements.length === 0;
    $('incident-readout').hidden = judgements.length === 0;
    if (judgements.length > 0) this.#chart.draw(chartOf(judgements, unit, this.times));
    setText($('incident-chart-note'), chartNote(judgements, incident));
  }

  #drawTold({ told, completeness }, unit) {
    const saw = told && [`${told.number === undefined ? 'no number' : numberText(told.number, unit)}`, expectedText(told, unit), spoke(told)];
    setText($('incident-told'), told ? `Told of ${this.times.dayAndClock.format(told.from)}: ${saw.filter(Boolean).join('; ')}.` : '');
    setText($('incident-complete'), completenessText(completeness, this.times.moment));
  }

  #drawDrivers({ drivers, told }, unit) {
    $('incident-drivers').hidden = drivers.length === 0;
    const none = told ? 'No value of a property stands out: everything moved alike, or it is still being looked for.' : 'Nothing is known of it.';
    setText($('incident-no-drivers'), drivers.length > 0 ? '' : none);
    $('incident-driver-rows').replaceChildren(...drivers.map((driver) => {
      const { name, share, how, numbers } = driverParts(driver, unit);
      const cell = (text, className = '') => el('td', { textContent: text, className });
      return el('tr', {}, cell(name), cell(share, 'num'), cell(how), cell(numbers, 'num'));
    }));
  }

  #annotation({ from, kind, text, by, special }) {
    const small = [kind, by && `by ${by}`, special && 'numbers are expected to be unusual'].filter(Boolean).join(', ');
    return entry(this.times.moment(from), text, '', small);
  }

  #action({ text, at, by, comparison }) {
    return el('li', {},
      el('strong', { textContent: text }),
      el('p', { textContent: comparison || 'The numbers before and after are compared once there are enough.' }),
      el('p', { className: 'note', textContent: [this.times.moment(at), by && `by ${by}`].filter(Boolean).join(', ') }));
  }

  #event(event, unit) {
    const { at, judgement, by, text } = event;
    const seen = judgement ? bucketText(judgement, unit, this.times) : '';
    return entry(this.times.moment(at), happenedText(event, this.times.moment), text, [by && `by ${by}`, seen].filter(Boolean).join(', '));
  }
}

/** How an incident's numbers are read. */
function unitOf(metric, judgements) {
  const largest = Math.max(...judgements.map((one) => one?.number ?? 0));
  return metric ? unitFor(natureOf(metric).unit, { number: largest }) : 'number';
}

/** Of anomalies: what spoke. */
const spoke = ({ channel }) => (channel ? `what spoke: ${channel}` : '');

/** A link only where it is one. */
function runbookNode(runbook) {
  if (!LINK.test(runbook)) return runbook;
  return el('a', { href: runbook, textContent: runbook, target: '_blank', rel: 'noopener noreferrer' });
}

function entry(time, what, text, small) {
  const said = el('span', {}, el('strong', { textContent: what }), text ? ` ${text}` : '');
  return el('li', {}, el('time', { textContent: time }), said, ...(small ? [el('small', { textContent: small })] : []));
}

/** Fills a list, and hides the part of the page that it is alone in. */
function fill(id, nodes) {
  $(id).replaceChildren(...nodes);
  if ($(`${id}-part`)) $(`${id}-part`).hidden = nodes.length === 0;
}
