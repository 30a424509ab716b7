import { useLayoutEffect, useReducer } from 'react';

/** Values by key that outlive the pages that show them: a message can still change one when its page was left. */
export interface Shelf<T> {
  get: (key: string) => T;
  set: (key: string, value: T) => void;
  /** Calls changed with each new value of a key; returns how to stop. */
  watch: (key: string, changed: () => void) => () => void;
}

/** How a shelf is kept in the browser. */
interface Keeping<T> {
  /** Where: for the tab, or for the browser. */
  storage: () => Storage;
  /** Reads a value; null: none was kept. */
  read: (text: string | null) => T;
  /** Writes a value; null: none is to be kept. */
  write: (value: T) => string | null;
}

/** How long nothing has to change before a value is written, in milliseconds: it can be long, and change with each key. */
const pause = 300;

/** Makes a shelf. A full store of the browser keeps the old value, and the shelf the new one. */
export function shelf<T>({ storage, read, write }: Keeping<T>): Shelf<T> {
  const held = new Map<string, T>();
  const watchers = new Map<string, Set<() => void>>();
  const waiting = new Map<string, ReturnType<typeof setTimeout>>();
  const keep = (key: string, value: T) => {
    clearTimeout(waiting.get(key));
    waiting.delete(key);
    try {
      const text = write(value);
      if (text === null) storage().removeItem(key);
      else storage().setItem(key, text);
    } catch {
      // What is on the screen is not touched by it.
    }
  };
  const get = (key: string): T => {
    const known = held.get(key);
    if (known !== undefined || held.has(key)) return known as T;
    const value = read(storage().getItem(key));
    held.set(key, value);
    return value;
  };
  const keepAll = () => {
    for (const key of waiting.keys()) keep(key, get(key));
  };
  return {
    get,
    set: (key, value) => {
      held.set(key, value);
      const watching = watchers.get(key);
      clearTimeout(waiting.get(key));
      if (watching) {
        waiting.set(
          key,
          setTimeout(() => keep(key, value), pause),
        );
      } else keep(key, value);
      for (const changed of watching ?? []) changed();
    },
    watch: (key, changed) => {
      if (watchers.size === 0) window.addEventListener('pagehide', keepAll);
      const all = watchers.get(key) ?? new Set();
      watchers.set(key, all.add(changed));
      return () => {
        all.delete(changed);
        if (all.size > 0) return;
        watchers.delete(key);
        keepAll();
        if (watchers.size === 0) window.removeEventListener('pagehide', keepAll);
      };
    },
  };
}

/** The value of a key, as it is now. It is drawn together with what else was changed at the same time. */
export function useShelved<T>(on: Shelf<T>, key: string): T {
  const [, draw] = useReducer((n: number) => n + 1, 0);
  useLayoutEffect(() => on.watch(key, draw), [on, key]);
  return on.get(key);
}
