import { useEffect, useMemo, useRef, useState, type RefObject } from 'react';
import type { FieldError } from '../api/problem';
import { isObject, type Json } from '../document/json';
import { isBelow, valueAt } from '../document/paths';
import { pathOfInput } from './form';

/** Something that was just added: of what is below its path, only what was left is blamed. */
export interface Fresh {
  path: string;
  /** Paths of the fields that somebody was in and left. */
  left: readonly string[];
}

/** Says what is new in a document, so that nobody is blamed for what they did not come to yet. */
export interface Withholding {
  /** Something empty was added at a path. */
  begin: (path: string) => void;
  /** It is finished: all that is wrong with it is shown. */
  end: (path: string) => void;
  /** The input of a path was left. */
  leave: (path: string) => void;
}

/** Whether filling in may mend it: a single value, or several of which one is empty. */
function isOpen(value: Json | undefined): boolean {
  if (!isObject(value)) return true;
  const members = Object.values(value);
  return members.length === 0 || members.includes('');
}

/**
 * Whether what is wrong at a path is not said yet. What is wrong with several
 * fields together is said when one of them was left, or at once where none of
 * them is empty.
 */
export const isWithheld = (fresh: readonly Fresh[], path: string, document: Json): boolean =>
  fresh.some((f) => isBelow(path, f.path) && !f.left.some((l) => isBelow(path, l) || isBelow(l, path))) &&
  isOpen(valueAt(document, path));

/** Adds a field that was left to what it is in. */
export const withLeft = (fresh: readonly Fresh[], path: string): readonly Fresh[] =>
  fresh.some((f) => isBelow(path, f.path) && !f.left.includes(path))
    ? fresh.map((f) => (isBelow(path, f.path) ? { ...f, left: [...f.left, path] } : f))
    : fresh;

/** Between these the pointer is down. The mouse events of a touch come after those of its pointer. */
const presses = ['pointerdown', 'mousedown'];
const releases = ['pointerup', 'pointercancel', 'mouseup'];

/** What ends the move to another place in the page: screen readers and spoken commands may press neither pointer nor key. */
const ends = [...releases, 'keyup', 'click', 'focusin'];

/** Keeps whether the pointer is down, from before a field is left. */
function usePressed(): RefObject<boolean> {
  const pressed = useRef(false);
  useEffect(() => {
    const keep = ({ type }: Event) => {
      pressed.current = presses.includes(type);
    };
    const all = [...presses, ...releases];
    for (const type of all) window.addEventListener(type, keep, true);
    return () => {
      for (const type of all) window.removeEventListener(type, keep, true);
    };
  }, []);
  return pressed;
}

/** The faults that are said now, and how it is told what is new. */
export interface Said {
  errors: FieldError[];
  warnings: FieldError[];
  withholding: Withholding;
}

/** What is new, and the fields that are being left. */
interface State {
  fresh: readonly Fresh[];
  leaving: readonly string[];
}

/**
 * Keeps back what is wrong with something that was just added until its fields
 * were left or it is finished. Faults of everything else are said at once.
 */
export function useWithheld(document: Json, errors: FieldError[], warnings: FieldError[]): Said {
  const [{ fresh, leaving }, setState] = useState<State>({ fresh: [], leaving: [] });
  const pressed = usePressed();
  useEffect(() => {
    if (leaving.length === 0) return undefined;
    // A text that appears while the pointer is down would move what is below it away from under it.
    const settle = ({ type, target }: Event) => {
      if (type === 'focusin' && pressed.current) return;
      // Who comes back to a field, or goes on to another input of it, has not left it.
      const back = type === 'focusin' && target instanceof Element ? pathOfInput(target.id) : undefined;
      setState((was) => ({
        fresh: was.leaving.filter((path) => path !== back).reduce(withLeft, was.fresh),
        leaving: [],
      }));
    };
    for (const end of ends) window.addEventListener(end, settle);
    return () => {
      for (const end of ends) window.removeEventListener(end, settle);
    };
  }, [leaving, pressed]);
  const withholding = useMemo<Withholding>(() => {
    const change = (make: (fresh: readonly Fresh[]) => readonly Fresh[]) =>
      setState((was) => ({ ...was, fresh: make(was.fresh) }));
    return {
      begin: (path) => change((was) => [...was.filter((f) => f.path !== path), { path, left: [] }]),
      end: (path) => change((was) => was.filter((f) => !isBelow(f.path, path))),
      leave: (path) =>
        setState((was) =>
          was.fresh.some((f) => isBelow(path, f.path)) ? { ...was, leaving: [...was.leaving, path] } : was,
        ),
    };
  }, []);
  return useMemo(() => {
    if (fresh.length === 0) return { errors, warnings, withholding };
    const isSaid = (f: FieldError) => !isWithheld(fresh, f.path, document);
    return { errors: errors.filter(isSaid), warnings: warnings.filter(isSaid), withholding };
  }, [document, errors, warnings, fresh, withholding]);
}
