import type { Json } from '../document/json';
import { merge } from '../document/merge';
import type { FormState } from './form';

type Value = Json | undefined;

/** What is left of a value when a change is taken back: what was changed since stays. */
export function undone(now: Value, before: Value, after: Value): Value {
  const boxed = (value: Value): Json => (value === undefined ? {} : { value });
  const { merged } = merge(boxed(after), boxed(now), boxed(before));
  return merged === null || typeof merged !== 'object' || Array.isArray(merged) ? undefined : merged['value'];
}

/** Changes the value at a path, and returns how that is undone. */
export function editWithUndo(edit: FormState['edit'], path: string, make: (value: Value) => Value): () => void {
  let before: Value;
  let after: Value;
  edit(path, (value) => {
    before = value;
    after = make(value);
    return after;
  });
  return () => edit(path, (now) => undone(now, before, after));
}
