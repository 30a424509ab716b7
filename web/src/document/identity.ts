import { isObject, type Json } from './json';

const texts = new WeakMap<object, string>();

/** A value as text, the same for equal values: the order of members says nothing. Documents are never changed in place. */
export function canonical(v: Json | undefined): string {
  if (typeof v !== 'object' || v === null) return JSON.stringify(v) ?? '';
  let text = texts.get(v);
  if (text === undefined) {
    text = Array.isArray(v)
      ? `[${v.map(canonical).join()}]`
      : `{${Object.keys(v)
          .toSorted()
          .map((k) => `${JSON.stringify(k)}:${canonical(v[k])}`)
          .join()}}`;
    texts.set(v, text);
  }
  return text;
}

/** Members that name an item, in the order in which they are asked. */
const naming = ['name', 'id', 'letter', 'host'];

const text = (v: Json | undefined): string => (typeof v === 'string' ? v.normalize('NFC').toLowerCase() : '');

/** What an item goes by: its key where the directory gave it one, and its name. */
interface Known {
  strong?: string;
  weak: string;
}

const knowns = new WeakMap<object, Known | undefined>();

/** What an item goes by, remembered: lists are compared at each key that is typed. */
function known(item: Json): Known | undefined {
  if (typeof item !== 'object' || item === null) return read(item);
  if (!knowns.has(item)) knowns.set(item, read(item));
  return knowns.get(item);
}

function read(item: Json): Known | undefined {
  if (!isObject(item)) return typeof item === 'object' ? undefined : { weak: canonical(item) };
  const { principal } = item;
  if (isObject(principal)) {
    const of = `${text(principal['kind'])} ${text(principal['directory']) || 'local'}\\`;
    const key = principal['key'];
    const named = { weak: of + text(principal['name']) };
    return typeof key === 'string' && key !== '' ? { ...named, strong: `${of}#${key}` } : named;
  }
  for (const member of naming) {
    const v = item[member];
    if (typeof v === 'string' && v !== '') return { weak: `${member} ${text(v)}` };
  }
  return undefined;
}

/**
 * The identities of the items of lists that are versions of one, or undefined
 * when one of them does not name all its items, each otherwise: then places
 * count. A principal goes by its key, and by its name where nobody has asked
 * the directory yet.
 */
export function identities(lists: Json[][]): string[][] | undefined {
  const strong = new Map<string, string>();
  const found: { strong?: string; weak: string }[][] = [];
  for (const list of lists) {
    const ids: { strong?: string; weak: string }[] = [];
    for (const item of list) {
      const id = known(item);
      if (!id) return undefined;
      if (id.strong !== undefined) strong.set(id.weak, id.strong);
      ids.push(id);
    }
    found.push(ids);
  }
  const all = found.map((ids) => ids.map((id) => id.strong ?? strong.get(id.weak) ?? id.weak));
  return all.every((ids) => new Set(ids).size === ids.length) ? all : undefined;
}

/** What people call an item of a list; undefined when nothing in it names it. */
export function nameOf(item: Json | undefined): string | undefined {
  if (item === undefined) return undefined;
  if (!isObject(item)) return typeof item === 'object' ? undefined : String(item);
  const { principal } = item;
  const from = isObject(principal) ? principal : item;
  for (const member of naming) {
    const v = from[member];
    if (typeof v === 'string' && v !== '') return v;
  }
  return undefined;
}

/**
 * Which items two lists have in common, in the order of both: pairs of places.
 * The longest such list; what is alike at the beginning and the end costs
 * nothing. Items are compared by what they say.
 */
export function common(a: string[], b: string[]): [number, number][] {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const n = a.length - start - end;
  const m = b.length - start - end;
  const width = m + 1;
  // longest[i * width + j]: of what is left of a from i on and of b from j on.
  const longest = new Uint32Array((n + 1) * width);
  const at = (i: number, j: number) => longest[i * width + j] ?? 0;
  for (let i = n - 1; i >= 0; i -= 1) {
    for (let j = m - 1; j >= 0; j -= 1) {
      longest[i * width + j] =
        a[start + i] === b[start + j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const pairs: [number, number][] = Array.from({ length: start }, (_, i) => [i, i]);
  for (let i = 0, j = 0; i < n && j < m;) {
    if (a[start + i] === b[start + j]) {
      pairs.push([start + i, start + j]);
      i += 1;
      j += 1;
    } else if (at(i + 1, j) >= at(i, j + 1)) i += 1;
    else j += 1;
  }
  for (let i = end; i > 0; i -= 1) pairs.push([a.length - i, b.length - i]);
  return pairs;
}
