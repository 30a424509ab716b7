import { canonical, common, identities, nameOf } from './identity';
import { isObject, same, type Json } from './json';

/** One thing that is not the same in two documents. */
export interface Change {
  /** Path of the field or the item as the server writes it: in the later document, or the earlier one if it is only there. */
  path: string;
  /** Absent: it was added. */
  before?: Json;
  /** Absent: it was taken away. */
  after?: Json;
  /** The items are in another order: before and after hold their names. */
  order?: true;
}

/** The path of a member below another path. */
export const member = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);

/**
 * What has to change in one document so that it says what the other says,
 * field by field. Items of lists are matched by what names them, else by their
 * place. Added and removed items are whole.
 */
export function changes(before: Json, after: Json): Change[] {
  const found: Change[] = [];
  compare(found, '', before, after);
  return found;
}

function compare(found: Change[], path: string, before: Json | undefined, after: Json | undefined): void {
  if (same(before, after)) return;
  if ([before, after].every((v) => v === undefined || isObject(v)) && !hollow(before, after)) {
    const was = isObject(before) ? before : {};
    const is = isObject(after) ? after : {};
    for (const k of new Set([...Object.keys(was), ...Object.keys(is)])) compare(found, member(path, k), was[k], is[k]);
    return;
  }
  // A whole list of things that came or went is told thing by thing.
  const was = listOf(before, after);
  const is = listOf(after, before);
  if (was && is) {
    const ids = identities([was, is]);
    if (ids) byIdentity(found, path, was, is, ids);
    else byPlace(found, path, was, is);
    return;
  }
  found.push(one(path, before, after));
}

/** A list; none beside one that has things in it is an empty one. */
const listOf = (a: Json | undefined, other: Json | undefined): Json[] | undefined => {
  if (Array.isArray(a)) return a;
  return a === undefined && Array.isArray(other) && other.length > 0 && other.every(isObject) ? [] : undefined;
};

/** Whether one is not there and the other has no members: no field would say so. */
const hollow = (a: Json | undefined, b: Json | undefined): boolean =>
  (a === undefined || b === undefined) && Object.keys(a ?? b ?? {}).length === 0;

function one(path: string, before: Json | undefined, after: Json | undefined): Change {
  const c: Change = { path };
  if (before !== undefined) c.before = before;
  if (after !== undefined) c.after = after;
  return c;
}

function byIdentity(found: Change[], path: string, before: Json[], after: Json[], ids: string[][]): void {
  const [was = [], is = []] = ids;
  const places = new Map(was.map((id, i) => [id, i]));
  const left = new Set(is);
  before.forEach((item, i) => {
    if (!left.has(was[i] ?? '')) found.push(one(`${path}[${i}]`, item, undefined));
  });
  const order: number[] = [];
  after.forEach((item, i) => {
    const place = places.get(is[i] ?? '');
    if (place === undefined) {
      found.push(one(`${path}[${i}]`, undefined, item));
      return;
    }
    order.push(place);
    compareItem(found, `${path}[${i}]`, before[place], item);
  });
  if (order.some((place, i) => i > 0 && place < (order[i - 1] ?? 0))) {
    const names = (places_: number[]) => places_.map((p) => nameOf(before[p]) ?? '');
    found.push({ path, before: names(order.toSorted((a, b) => a - b)), after: names(order), order: true });
  }
}

function compareItem(found: Change[], path: string, before: Json | undefined, after: Json | undefined): void {
  if (isObject(before) && isObject(after)) compare(found, path, before, after);
  else if (!same(before, after)) found.push(one(path, before, after));
}

function byPlace(found: Change[], path: string, before: Json[], after: Json[]): void {
  const pairs = [...common(before.map(canonical), after.map(canonical)), [before.length, after.length] as const];
  let i = 0;
  let j = 0;
  for (const [nextI, nextJ] of pairs) {
    for (; i < nextI && j < nextJ; i += 1, j += 1) compareItem(found, `${path}[${j}]`, before[i], after[j]);
    for (; i < nextI; i += 1) found.push(one(`${path}[${i}]`, before[i], undefined));
    for (; j < nextJ; j += 1) found.push(one(`${path}[${j}]`, undefined, after[j]));
    i = nextI + 1;
    j = nextJ + 1;
  }
}
