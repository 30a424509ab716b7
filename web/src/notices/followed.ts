import { useState } from 'react';

/** What somebody enters about a thing that others may change meanwhile. */
export interface Followed<T> {
  /** The thing as it was when they began. */
  base: T;
  entered: T;
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Whether something was entered that the thing does not say. */
export const isDirty = <T>({ base, entered }: Followed<T>): boolean => !same(base, entered);

/** What is held of a thing that is current now: it is followed while nothing was entered, and nothing that was is lost. */
export function follow<T>(held: Followed<T>, current: T): Followed<T> {
  if (same(held.base, current)) return held;
  return isDirty(held) && !same(held.entered, current) ? held : { base: current, entered: current };
}

/** Holds what is entered about a thing. isOld: somebody else has changed it meanwhile; take gives up what was entered. */
export function useFollowed<T>(current: T) {
  const [kept, setHeld] = useState<Followed<T>>({ base: current, entered: current });
  const held = follow(kept, current);
  if (held !== kept) setHeld(held);
  return {
    entered: held.entered,
    enter: (entered: T) => setHeld({ base: held.base, entered }),
    isOld: !same(held.base, current),
    take: () => setHeld({ base: current, entered: current }),
  };
}
