import { useEffect, useMemo, useState } from 'react';
import type { FieldError } from '../api/problem';
import { isObject, type Json } from '../document/json';
import { isBelow, valueAt } from '../document/paths';

/** Something that was just added: of what is below its path, only what was left is blamed. */
export interface Fresh {
  path: string;
  /** Paths of the fields that somebody was in and left. */
  left: readonly string[];
}

/** Says what is new in a document, so that nobody is blamed for what he did not come to yet. */
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

/** What ends the move to another place in the page, with the pointer or the keyboard. */
const ends = ['pointerup', 'keyup'];

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
  useEffect(() => {
    if (leaving.length === 0) return undefined;
    // A text that appears while the pointer is down would move what is below it away from under it.
    const settle = () => setState((was) => ({ fresh: was.leaving.reduce(withLeft, was.fresh), leaving: [] }));
    for (const end of ends) window.addEventListener(end, settle);
    return () => {
      for (const end of ends) window.removeEventListener(end, settle);
    };
  }, [leaving]);
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
