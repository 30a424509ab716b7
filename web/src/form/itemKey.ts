import type { JsonObject } from '../document/json';

const keys = new WeakMap<JsonObject, string>();
let last = 0;

/** A name for an item that has none, kept while it moves in its list: items are never changed in place. */
export function itemKey(item: JsonObject): string {
  let key = keys.get(item);
  if (key === undefined) {
    last += 1;
    key = `item-${last}`;
    keys.set(item, key);
  }
  return key;
}
