// Definitions as forms want them: ids from titles, filters as a flat list, errors by field. Pure.

/** An id that the server takes, made of a title. */
export function idOf(title) {
  const plain = title.normalize('NFKD').replace(/[\u0300-\u036f]/g, '').toLowerCase();
  return plain.replace(/[^a-z0-9_]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 64);
}

/**
 * "steps[1].events: name one; window: 1 s to 366 d" as [{path, problem}]; a text that names no field has the path ''.
 */
export function problemsOf(message) {
  const field = /[a-z_]+(?:\[\d+\])?(?:\.[a-z_]+(?:\[\d+\])?)*/.source;
  const parts = message.split(new RegExp(`; (?=${field}: )`));
  return parts.map((part) => {
    const found = part.match(new RegExp(`^(${field}): ([^]*)$`));
    return found ? { path: found[1], problem: found[2] } : { path: '', problem: part };
  });
}

/** The paths that lead to a field, the nearest first: "steps[1].events[0]", "steps[1].events", "steps[1]", "steps". */
export function waysTo(path) {
  const ways = [];
  for (let way = path; way; way = way.replace(/(\.[^.[\]]+|\[\d+\]|^[^.[\]]+)$/, '')) ways.push(way);
  return ways;
}

/** A filter's parts that all have to hold; of anything else it is the only part. */
export function partsOf(filter) {
  if (!filter) return [];
  return filter.all ? filter.all.filters.flatMap(partsOf) : [filter];
}

/** The parts as one filter again; undefined for none. */
export function filterOf(parts) {
  if (parts.length === 0) return undefined;
  return parts.length === 1 ? parts[0] : { all: { filters: parts } };
}

/** A step's conditions and its filter as one list of parts. */
export const stepParts = (step) => [...step.conditions.map((condition) => ({ condition })), ...partsOf(step.filter)];

/** And back: plain conditions have a field of their own. */
export function stepFilters(parts) {
  return {
    conditions: parts.filter((part) => part.condition).map((part) => part.condition),
    filter: filterOf(parts.filter((part) => !part.condition)),
  };
}

/** Numbers out of "50, 90, 99"; what is no number is left out. */
export const numbersOf = (text) => text.split(/[,;\s]+/).filter(Boolean).map(Number).filter(Number.isFinite);

const SECONDS = { s: 1, min: 60, h: 3600, d: 86_400 };

/** A duration as count and unit: the largest unit that leaves a whole number. */
export function durationParts(seconds) {
  const unit = ['d', 'h', 'min'].find((name) => seconds >= SECONDS[name] && seconds % SECONDS[name] === 0) ?? 's';
  return { count: seconds / SECONDS[unit], unit };
}

export const durationOf = (count, unit) => Number(count) * SECONDS[unit];
