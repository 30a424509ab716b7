import { createContext, useCallback, useContext, useEffect, useMemo, useRef, useState } from 'react';
import type { FieldError } from '../api/problem';
import type { Json } from '../document/json';
import { isBelow, valueAt } from '../document/paths';
import { isRequired, schemaAt, type Schema } from './schema';
import type { Withholding } from './withheld';

/** A document that is being edited, as its fields see it. */
export interface FormState {
  schema: Schema;
  document: Json;
  /** Sets the value at a path; undefined takes it away. */
  change: (path: string, value: Json | undefined) => void;
  /** Sets the value at a path to what is made of the one that stands there then. */
  edit: (path: string, make: (value: Json | undefined) => Json | undefined) => void;
  errors: FieldError[];
  warnings: FieldError[];
  /** Why nothing may be changed; undefined: everything may. */
  readOnly?: string | undefined;
  /** Paths whose faults are shown where they are, and how one says that it does. */
  shown: ReadonlySet<string>;
  show: (paths: string[], shown: boolean) => void;
  /** Told what is new, whose faults wait. */
  withholding: Withholding;
}

export const FormContext = createContext<FormState | null>(null);

/** Keeps which paths are on the screen of a form or of a dialog of its own. */
export function useRegistry(): Pick<FormState, 'shown' | 'show'> {
  const counts = useRef(new Map<string, number>());
  const [shown, setShown] = useState<ReadonlySet<string>>(new Set());
  const show = useCallback((paths: string[], is: boolean) => {
    for (const p of paths) counts.current.set(p, (counts.current.get(p) ?? 0) + (is ? 1 : -1));
    setShown(new Set([...counts.current].filter(([, n]) => n > 0).map(([p]) => p)));
  }, []);
  return { shown, show };
}

/** The document that is being edited. */
export function useForm(): FormState {
  const form = useContext(FormContext);
  if (!form) throw new Error('a field stands outside of a DocumentForm');
  return form;
}

/** How many faults there are somewhere. */
export interface Faults {
  errors: number;
  warnings: number;
}

/** Counts the faults at and below some paths, for marks on tabs. */
export const countFaults = (errors: FieldError[], warnings: FieldError[], prefixes: string[]): Faults => {
  const within = (f: FieldError) => prefixes.some((p) => isBelow(f.path, p));
  return { errors: errors.filter(within).length, warnings: warnings.filter(within).length };
};

/** What faults say of the value at a path itself. */
export const messagesAt = (faults: FieldError[], path: string): string[] =>
  faults.filter((f) => f.path === path).map((f) => f.message);

/** Counts the faults at and below a path of the form. */
export function useFaults(prefix: string): Faults {
  const { errors, warnings } = useForm();
  return useMemo(() => countFaults(errors, warnings, [prefix]), [errors, warnings, prefix]);
}

/** Says that the faults of some paths are shown there, so that nobody else lists them. */
export function useShown(paths: string[]): void {
  const { show } = useForm();
  const key = paths.join('\n');
  useEffect(() => {
    const all = key.split('\n');
    show(all, true);
    return () => show(all, false);
  }, [show, key]);
}

/** The identity in the page of the input for a path, to which links to a fault lead. */
export const inputId = (path: string): string => `field:${path}`;

/** The path of an input by its identity, or by that of one of several inputs for one path; undefined: it is of none. */
export const pathOfInput = (id: string): string | undefined => /^field:([^:]+)/u.exec(id)?.[1];

/**
 * Brings somebody to the input of a path, or to what is nearest around it: the
 * row of a list that has it in its dialog. false: nothing of it is on the screen.
 */
export function goTo(path: string): boolean {
  for (let at = path; at !== ''; at = at.replace(/(^|\.|\[)[^.[]*$/u, '')) {
    const input = document.querySelector<HTMLElement>(`#${CSS.escape(inputId(at))}`);
    if (input) {
      input.scrollIntoView({ block: 'center' });
      input.focus({ preventScroll: true });
      return true;
    }
  }
  return false;
}

/** One value of the document that is being edited. */
export interface FieldState {
  path: string;
  schema: Schema;
  value: Json | undefined;
  set: (value: Json | undefined) => void;
  isRequired: boolean;
  errors: string[];
  warnings: string[];
  readOnly: string | undefined;
}

/**
 * The value at a path, how it is set, and what is wrong with it. A value that
 * is the default again is taken away, as if nobody had ever set it.
 */
export function useField(path: string): FieldState {
  const { schema: root, document: whole, change, errors, warnings, readOnly } = useForm();
  const schema = schemaAt(root, path);
  if (!schema) throw new Error(`the schema has no ${path}`);
  // What must be there within an object that need not be there is asked for only with the object.
  const above = path.slice(0, Math.max(0, path.lastIndexOf('.')));
  const needed = above === '' || valueAt(whole, above) !== undefined || isRequired(root, above);
  const required = needed && isRequired(root, path);
  return {
    path,
    schema,
    value: valueAt(whole, path),
    set: (value) => change(path, !required && value === schema.default ? undefined : value),
    isRequired: required,
    errors: messagesAt(errors, path),
    warnings: messagesAt(warnings, path),
    readOnly,
  };
}

/** What makes an input one that is read and not changed, and shows it. */
export const asReadOnly = (why: string | undefined): { readOnly: boolean; readOnlyVariant?: 'default' } =>
  why === undefined ? { readOnly: false } : { readOnly: true, readOnlyVariant: 'default' };
