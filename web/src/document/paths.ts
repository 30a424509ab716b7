import { isObject, type Json, type JsonObject } from './json';

/** A step into a document: a member of an object or a place in a list. */
export type Step = string | number;

/** Splits a path as the server writes it: grants[2].principal.name. The place of `[]` is -1: any. */
export function steps(path: string): Step[] {
  return [...path.matchAll(/([^.[\]]+)|\[(\d*)\]/g)].map((m) => m[1] ?? (m[2] === '' ? -1 : Number(m[2])));
}

/** Says whether a path is another one or lies below it. */
export const isBelow = (path: string, above: string): boolean =>
  above === '' || path === above || path.startsWith(`${above}.`) || path.startsWith(`${above}[`);

const into = (value: Json | undefined, step: Step): Json | undefined => {
  if (typeof step === 'number') return Array.isArray(value) ? value[step] : undefined;
  return isObject(value) && Object.hasOwn(value, step) ? value[step] : undefined;
};

/** Returns what stands at a path; undefined: nothing. */
export const valueAt = (document: Json, path: string): Json | undefined =>
  steps(path).reduce<Json | undefined>(into, document);

const isEmpty = (value: Json): boolean => isObject(value) && Object.keys(value).length === 0;

function put(
  value: Json | undefined,
  way: Step[],
  at: number,
  wanted: Json | undefined,
  kept: number,
): Json | undefined {
  const step = way[at];
  if (step === undefined) return wanted;
  const below = put(into(value, step), way, at + 1, wanted, kept);
  // Objects that nothing is left in go too; places of lists stay, for others are named by their number.
  const gone =
    below === undefined || (wanted === undefined && typeof step === 'string' && at + 1 > kept && isEmpty(below));
  if (typeof step === 'number') {
    const list = Array.isArray(value) ? value : [];
    if (below === undefined) return list.toSpliced(step, 1);
    return step < list.length ? list.with(step, below) : [...list, below];
  }
  const object: JsonObject = isObject(value) ? value : {};
  if (!gone) return { ...object, [step]: below };
  return Object.fromEntries(Object.entries(object).filter(([name]) => name !== step));
}

/**
 * Returns the document with a value at a path, and leaves the given one as it
 * is. undefined takes the member away (or the item out of its list), and the
 * objects above it that are empty then, but none at or above keep.
 */
export const withValue = (document: Json, path: string, value: Json | undefined, keep = ''): Json =>
  put(document, steps(path), 0, value, steps(keep).length) ?? {};
