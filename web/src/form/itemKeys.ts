import { useState } from 'react';
import type { JsonObject } from '../document/json';

let last = 0;

/** Items with a name for each, in their order. */
export interface Keyed {
  items: readonly JsonObject[];
  keys: readonly string[];
}

/**
 * Names items that have no name. An item keeps its key while it moves in its
 * list, and while it is edited at its place: items are never changed in place.
 */
export function keyed(items: readonly JsonObject[], before: Keyed): Keyed {
  const known = new Map(before.items.map((item, at) => [item, before.keys[at]]));
  const stays = new Set(items);
  const edited = items.length === before.items.length;
  const keys = items.map((item, at) => {
    const was = before.items[at];
    const key = known.get(item) ?? (edited && was && !stays.has(was) ? before.keys[at] : undefined);
    if (key !== undefined) return key;
    last += 1;
    return `item-${last}`;
  });
  return { items, keys };
}

/** The keys of the items of a list that is shown, by their place. */
export function useItemKeys(items: readonly JsonObject[]): readonly string[] {
  const [now, setNow] = useState<Keyed>(() => keyed(items, { items: [], keys: [] }));
  if (now.items === items) return now.keys;
  const next = keyed(items, now);
  setNow(next);
  return next.keys;
}

/** A list of keys, the same object as before while it says the same. */
export function useSameKeys(keys: string[]): string[] {
  const [held, setHeld] = useState(keys);
  if (held.length === keys.length && held.every((key, at) => key === keys[at])) return held;
  setHeld(keys);
  return keys;
}
