// What events and properties the project has: pickers feed on it.

import { integer } from './format.js';

/** A list this long is enough to choose from; typing narrows it down at the server. */
const SHOWN = 50;
const PAGE = 1_000;
/** What was asked a moment ago is not asked again while somebody types. */
const KEPT_MS = 10_000;
const NUMERIC = new Set(['int', 'double', 'decimal', 'money']);

/** The context's properties by name: a fixed list, whether or not they were seen. */
const CONTEXT = [
  'app', 'app_version', 'os', 'os_version', 'device_model', 'locale', 'library', 'library_version', 'time_zone', 'environment',
  'campaign.source', 'campaign.medium', 'campaign.name', 'campaign.term', 'campaign.content',
];
/** Those of keys, whether or not enough actors sent them to be samples. */
const ENVIRONMENTS = ['prod', 'staging', 'dev'];

export class Catalog {
  #kept = new Map();

  constructor(client, project) {
    Object.assign(this, { client, project });
  }

  async #ask(method, request, field) {
    const key = JSON.stringify([method, request]);
    const known = this.#kept.get(key);
    if (known && performance.now() - known.at < KEPT_MS) return known.answer;
    const answer = this.client.unary('CatalogService', method, { project: this.project, ...request }).then((page) => page[field]);
    this.#kept.set(key, { at: performance.now(), answer });
    answer.catch(() => this.#kept.delete(key));
    return answer;
  }

  /** Names of events that contain a text, the most frequent first. */
  async events(contains) {
    const names = await this.#ask('ListEventNames', { contains, pageSize: SHOWN }, 'names');
    return names.map(({ name, count }) => ({ value: name, detail: integer(count) }));
  }

  /** What is wrong with a name: nothing, or that it was never seen, and the nearest that was. */
  async unseenEvent(name) {
    const names = await this.#ask('ListEventNames', { pageSize: PAGE }, 'names');
    if (names.length === 0 || names.length === PAGE || names.some((known) => known.name === name)) return null;
    return { name, nearest: nearest(name, names.map((known) => known.name)) };
  }

  /** Properties of a scope, those of events of `events` only (none: of all). */
  async #properties({ scope, groupType, events }) {
    const named = scope === 'PROPERTY_SCOPE_EVENT' && events.length > 0 ? events : [''];
    const pages = await Promise.all(named.map((event) => this.#ask('ListProperties', { scope, groupType, event, pageSize: PAGE }, 'properties')));
    return merged(pages.flat());
  }

  /** Keys to choose from; numbers first where a number is wanted. */
  async keys(of, contains, numeric = false) {
    const seen = await this.#properties(of);
    const known = new Set(seen.map((one) => one.key));
    const named = of.scope === 'PROPERTY_SCOPE_CONTEXT' ? CONTEXT.filter((key) => !known.has(key)).map((key) => ({ key, types: [] })) : [];
    const small = contains.toLowerCase();
    const matching = [...seen, ...named].filter((one) => one.key.toLowerCase().includes(small));
    if (numeric) matching.sort((a, b) => Number(isNumeric(b)) - Number(isNumeric(a)));
    return matching.slice(0, SHOWN).map(({ key, types }) => ({ value: key, detail: types.join(', ') }));
  }

  async unseenKey(of, key) {
    const seen = (await this.#properties(of)).map((one) => one.key);
    if (of.scope === 'PROPERTY_SCOPE_CONTEXT') seen.push(...CONTEXT);
    if (seen.length === 0 || seen.length >= PAGE || seen.includes(key)) return null;
    return { name: key, nearest: nearest(key, seen) };
  }

  /** Values of a property that enough actors sent to be shown, and those that there can be where that is known. */
  async values(of, key, contains) {
    const property = (await this.#properties(of)).find((one) => one.key === key);
    const boolean = property?.types.includes('bool') ? ['true', 'false'] : [];
    const environments = of.scope === 'PROPERTY_SCOPE_CONTEXT' && key === 'environment' ? ENVIRONMENTS : [];
    const values = new Set([...(property?.samples ?? []), ...boolean, ...environments]);
    return [...values].filter((value) => value.toLowerCase().includes(contains.toLowerCase())).map((value) => ({ value, detail: '' }));
  }
}

const isNumeric = ({ types }) => types.some((type) => NUMERIC.has(type));

/** One entry a key, whatever events it was seen with: types by frequency, all samples. Pure. */
export function merged(properties) {
  const byKey = new Map();
  for (const { key, types, samples } of properties) {
    const entry = byKey.get(key) ?? { key, counts: new Map(), samples: new Set() };
    byKey.set(key, entry);
    for (const { type, count } of types) entry.counts.set(type, (entry.counts.get(type) ?? 0) + Number(count));
    for (const sample of samples) entry.samples.add(sample);
  }
  const sorted = (counts) => [...counts.entries()].sort(([, a], [, b]) => b - a).map(([type]) => type);
  return [...byKey.values()].map(({ key, counts, samples }) => ({ key, types: sorted(counts), samples: [...samples] }));
}

/**
 * The nearest of some names, as the server's warnings have it: the same but for case, else by the fewest changed, missing, additional and
 * swapped letters, at most a third of those asked for. Of several the first.
 */
export function nearest(name, names) {
  const same = names.find((known) => known.toLowerCase() === name.toLowerCase());
  if (same) return same;
  const most = Math.floor([...name].length / 3);
  let best = '';
  let least = most + 1;
  for (const known of names) {
    if (Math.abs(known.length - name.length) >= least) continue;
    const changes = distance([...name], [...known]);
    if (changes < least) [best, least] = [known, changes];
  }
  return best;
}

/** Damerau and Levenshtein's, of adjacent letters. */
function distance(a, b) {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const changed = rows[i - 1][j - 1] + Number(a[i - 1] !== b[j - 1]);
      row.push(Math.min(rows[i - 1][j] + 1, row[j - 1] + 1, changed));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j], rows[i - 2][j - 2] + 1);
    }
    rows.push(row);
  }
  return rows[a.length][b.length];
}
