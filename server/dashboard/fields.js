// The small parts that forms are made of. A part that carries a path is where the server's problems with that field are shown.

import { durationOf, durationParts, waysTo } from './definition.js';
import { el } from './dom.js';

/** Names the field of the API that a part stands for. */
export function at(node, path) {
  node.dataset.path = path;
  return node;
}

/** A control under its label. */
export function labelled(text, control, path = '') {
  const field = el('label', { className: 'field' }, el('span', { textContent: text }), control);
  return path ? at(field, path) : field;
}

/** The same for what is made of several controls: a group with a name. */
export function grouped(text, path, ...controls) {
  const group = el('div', { className: 'field', role: 'group', ariaLabel: text }, el('span', { className: 'label', textContent: text }), ...controls);
  return path ? at(group, path) : group;
}

export function textInput(value = '', properties = {}) {
  return el('input', { type: 'text', value, autocomplete: 'off', spellcheck: false, ...properties });
}

/** A list to choose from: [[value, text], ...]. */
export function select(options, value, properties = {}) {
  const node = el('select', properties, ...options.map(([option, text]) => el('option', { value: option, textContent: text })));
  node.value = value;
  if (node.selectedIndex < 0) node.selectedIndex = 0;
  return node;
}

export function checkbox(text, checked) {
  const input = el('input', { type: 'checkbox', checked });
  return { input, root: el('label', { className: 'check' }, input, el('span', { textContent: text })) };
}

export function button(text, work, properties = {}) {
  const node = el('button', { type: 'button', className: 'quiet', textContent: text, ...properties });
  node.addEventListener('click', work);
  return node;
}

/** A number and its unit; `seconds` is undefined where the number is left out. */
export function duration(text, seconds, path) {
  const { count, unit } = seconds === undefined ? { count: '', unit: 's' } : durationParts(seconds);
  const number = el('input', { type: 'number', min: '0', step: 'any', value: count, ariaLabel: text });
  const units = select([['s', 'seconds'], ['min', 'minutes'], ['h', 'hours'], ['d', 'days']], unit, { ariaLabel: `${text}: unit` });
  return {
    root: grouped(text, path, el('span', { className: 'pair' }, number, units)),
    get seconds() { return number.value === '' ? undefined : durationOf(number.value, units.value); },
  };
}

const ROLLING = [['TIME_UNIT_MINUTE', 'minutes'], ['TIME_UNIT_HOUR', 'hours'], ['TIME_UNIT_DAY', 'days']];
const CALENDAR = [['CALENDAR_RANGE_TODAY', 'today'], ['CALENDAR_RANGE_THIS_WEEK', 'this week']];

/** The range that a funnel counts; one between two fixed moments is kept as it is. */
export function range(text, known, path) {
  const kinds = [...ROLLING.map(([unit, name]) => [unit, `last ${name}`]), ...CALENDAR];
  if (known?.fixed) kinds.push(['fixed', `${known.fixed.from} to ${known.fixed.to}`]);
  const chosen = known?.last?.unit ?? known?.current ?? (known?.fixed ? 'fixed' : 'TIME_UNIT_DAY');
  const number = el('input', { type: 'number', min: '1', step: '1', value: known?.last?.count ?? 7, ariaLabel: `${text}: how many` });
  const kind = select(kinds, chosen, { ariaLabel: text });
  const rolls = () => ROLLING.some(([unit]) => unit === kind.value);
  const draw = () => { number.hidden = !rolls(); };
  kind.addEventListener('change', draw);
  draw();
  return {
    root: grouped(text, path, el('span', { className: 'pair' }, number, kind)),
    get message() {
      const timeZone = known?.timeZone ?? '';
      if (kind.value === 'fixed') return known;
      return rolls() ? { last: { count: Number(number.value), unit: kind.value }, timeZone } : { current: kind.value, timeZone };
    },
  };
}

/** Shows a problem or a warning at the part that is nearest to its field; false if no part is. */
export function showAt(form, path, note) {
  for (const way of waysTo(path)) {
    const part = form.querySelector(`[data-path="${CSS.escape(way)}"]`);
    if (!part) continue;
    for (let folded = part.closest('details'); folded; folded = folded.parentElement.closest('details')) folded.open = true;
    note.classList.add('problem');
    part.append(note);
    return true;
  }
  return false;
}
