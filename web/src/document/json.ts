/** What JSON can hold: a document as the server takes and gives it. */
export type Json = null | boolean | number | string | Json[] | { [member: string]: Json };

/** An object of JSON. */
export type JsonObject = { [member: string]: Json };

/** Says whether a value is an object, and neither a list nor null. */
export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A value as a list: itself, or an empty one when it is none. */
export const asList = (value: Json | undefined): Json[] => (Array.isArray(value) ? value : []);

/** A value as a text: itself, or an empty one when it is none. */
export const asText = (value: Json | undefined): string => (typeof value === 'string' ? value : '');

/** Says whether two values are the same, whatever the order of their members. */
export function same(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, i) => same(item, b[i]));
  if (!isObject(a) || !isObject(b)) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((n) => Object.hasOwn(b, n) && same(a[n], b[n]));
}
