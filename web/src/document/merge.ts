import { changes, member, type Change } from './difference';
import { canonical, common, identities, nameOf } from './identity';
import { isObject, same, type Json } from './json';

/** What two people changed, each otherwise: one of them has to be chosen. */
export interface Conflict {
  /** Names the conflict, whatever is chosen. */
  key: string;
  /** Path as the server writes it, in my document, or theirs if it is only there. */
  path: string;
  base?: Json;
  /** Absent: I took it away. */
  mine?: Json;
  /** Absent: they took it away. */
  theirs?: Json;
  /** It is about the order of the items: base, mine and theirs hold their names. */
  order?: true;
  /** It is about several items in a row: base, mine and theirs hold those. */
  items?: true;
}

/** Whose word counts in a conflict. */
export type Side = 'mine' | 'theirs';

export interface Merged {
  /** What both changed, together; in conflicts what was chosen, mine until then. */
  merged: Json;
  conflicts: Conflict[];
  /** What I changed since the document that both began with, and what they did. */
  mine: Change[];
  theirs: Change[];
}

/**
 * Merges what two people made of one document, field by field: what only one
 * of them changed is taken, and what both changed in the same way. Items of
 * lists are matched by what names them, else by their place. The keys of
 * choices are those of conflicts.
 */
export function merge(base: Json, mine: Json, theirs: Json, choices: ReadonlyMap<string, Side> = new Map()): Merged {
  const run: Run = { conflicts: [], choices };
  const merged = value(run, { key: '', path: '' }, base, mine, theirs);
  return { merged: merged ?? null, conflicts: run.conflicts, mine: changes(base, mine), theirs: changes(base, theirs) };
}

type Value = Json | undefined;

interface Run {
  conflicts: Conflict[];
  choices: ReadonlyMap<string, Side>;
}

/** Where a value is: by what names the items above it, and by their places. */
interface Place {
  key: string;
  path: string;
}

function value(run: Run, at: Place, base: Value, mine: Value, theirs: Value): Value {
  if (same(mine, theirs) || same(base, theirs)) return mine;
  if (same(base, mine)) return theirs;
  if ([base, mine, theirs].every((v) => v === undefined || isObject(v))) return object(run, at, base, mine, theirs);
  if (Array.isArray(mine) && Array.isArray(theirs) && (base === undefined || Array.isArray(base))) {
    return list(run, at, base ?? [], mine, theirs);
  }
  return conflict(run, at, base, mine, theirs, {});
}

/** Notes a conflict and returns what was chosen. */
function conflict<V extends Value>(
  run: Run,
  at: Place,
  base: V | undefined,
  mine: V,
  theirs: V,
  more: Pick<Conflict, 'order' | 'items'>,
): V {
  const c: Conflict = { ...at, ...more };
  if (base !== undefined) c.base = base;
  if (mine !== undefined) c.mine = mine;
  if (theirs !== undefined) c.theirs = theirs;
  run.conflicts.push(c);
  return run.choices.get(at.key) === 'theirs' ? theirs : mine;
}

function object(run: Run, at: Place, base: Value, mine: Value, theirs: Value): Value {
  const [b, m, t] = [base, mine, theirs].map((v) => (isObject(v) ? v : {}));
  const result: { [k: string]: Json } = {};
  for (const k of new Set([...Object.keys(t ?? {}), ...Object.keys(m ?? {})])) {
    const v = value(run, { key: member(at.key, k), path: member(at.path, k) }, b?.[k], m?.[k], t?.[k]);
    if (v !== undefined) result[k] = v;
  }
  const absent = mine === undefined || theirs === undefined;
  return absent && Object.keys(result).length === 0 ? undefined : result;
}

function list(run: Run, at: Place, base: Json[], mine: Json[], theirs: Json[]): Json[] {
  const ids = identities([base, mine, theirs]);
  return ids ? byIdentity(run, at, [base, mine, theirs], ids) : byPlace(run, at, base, mine, theirs);
}

function byIdentity(run: Run, at: Place, lists: [Json[], Json[], Json[]], ids: string[][]): Json[] {
  const [bIDs = [], mIDs = [], tIDs = []] = ids;
  const [b, m, t] = lists.map((items, i) => new Map(items.map((item, j) => [ids[i]?.[j] ?? '', item])));
  const place = (id: string): Place => ({
    key: `${at.key}[${id}]`,
    path: `${at.path}[${mIDs.includes(id) ? mIDs.indexOf(id) : tIDs.indexOf(id)}]`,
  });
  const kept = new Map<string, Json>();
  for (const id of new Set([...tIDs, ...mIDs])) {
    const [was, my, their] = [b?.get(id), m?.get(id), t?.get(id)];
    const gone = my === undefined || their === undefined;
    // An item that one took away and the other changed stays or goes as a whole.
    const result =
      gone && was !== undefined && !same(was, my ?? their)
        ? conflict(run, place(id), was, my, their, {})
        : value(run, place(id), was, my, their);
    if (result !== undefined) kept.set(id, result);
  }
  const order = ordered(run, at, [bIDs, mIDs, tIDs], (id) => nameOf(kept.get(id) ?? b?.get(id)) ?? id);
  const items: Json[] = [];
  for (const id of order) {
    const item = kept.get(id);
    if (item !== undefined) items.push(item);
  }
  return items;
}

/** The order of the items of both: who moved something decides; both, each otherwise: it is a conflict. */
function ordered(run: Run, at: Place, ids: [string[], string[], string[]], called: (id: string) => string): string[] {
  const [base, mine, theirs] = ids;
  const everywhere = new Set(base.filter((id) => mine.includes(id) && theirs.includes(id)));
  const [b, m, t] = ids.map((list_) => list_.filter((id) => everywhere.has(id)));
  const [bText, mText, tText] = [b, m, t].map((list_) => canonical(list_ ?? []));
  let side: Side = mText === bText ? 'theirs' : 'mine';
  if (mText !== bText && tText !== bText && mText !== tText) {
    const names = (list_: string[] | undefined): Json => (list_ ?? []).map(called);
    const where = { key: `${at.key}[]`, path: at.path };
    conflict<Json>(run, where, names(b), names(m), names(t), { order: true });
    side = run.choices.get(where.key) ?? 'mine';
  }
  const [first, second] = side === 'mine' ? [mine, theirs] : [theirs, mine];
  const result = [...first];
  const alone = new Set(first.filter((id) => !second.includes(id)));
  second.forEach((id, i) => {
    if (result.includes(id)) return;
    // Behind the item that it follows, and what the other put behind that.
    let after = i > 0 ? result.indexOf(second[i - 1] ?? '') + 1 : 0;
    while (after < result.length && alone.has(result[after] ?? '')) after += 1;
    result.splice(after, 0, id);
  });
  return result;
}

function byPlace(run: Run, at: Place, base: Json[], mine: Json[], theirs: Json[]): Json[] {
  const texts = base.map(canonical);
  const inMine = new Map(common(texts, mine.map(canonical)));
  const inTheirs = new Map(common(texts, theirs.map(canonical)));
  const result: Json[] = [];
  let [i, j, k] = [0, 0, 0];
  for (let next = 0; next <= base.length; next += 1) {
    const end = next === base.length;
    const nextJ = end ? mine.length : inMine.get(next);
    const nextK = end ? theirs.length : inTheirs.get(next);
    if (nextJ === undefined || nextK === undefined) continue;
    result.push(...piece(run, at, [i, j, k], base.slice(i, next), mine.slice(j, nextJ), theirs.slice(k, nextK)));
    const alike = base[next];
    if (!end && alike !== undefined) result.push(alike);
    [i, j, k] = [next + 1, nextJ + 1, nextK + 1];
  }
  return result;
}

/** Merges what is between two items that everybody left alone. */
function piece(run: Run, at: Place, from: number[], base: Json[], mine: Json[], theirs: Json[]): Json[] {
  if (same(mine, theirs) || same(base, theirs)) return mine;
  if (same(base, mine)) return theirs;
  const [i = 0, j = 0] = from;
  if (base.length === mine.length && base.length === theirs.length) {
    const place = (n: number) => ({ key: `${at.key}[@${i + n}]`, path: `${at.path}[${j + n}]` });
    return base.flatMap((was, n) => value(run, place(n), was, mine[n], theirs[n]) ?? []);
  }
  return conflict(run, { key: `${at.key}[@${i}+]`, path: `${at.path}[${j}]` }, base, mine, theirs, { items: true });
}
