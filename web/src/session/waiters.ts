import { Problem } from '../api/problem';

/** Requests that wait until somebody has signed in again. */
export interface Waiters {
  /** Waits; rejects when it is not to be done any more. */
  wait: () => Promise<void>;
  /** Has all go on. */
  go: () => void;
  /** Has all fail: what one asked for is not done in another's name. */
  stop: () => void;
}

export function waiters(): Waiters {
  let all: { go: () => void; stop: (why: Problem) => void }[] = [];
  const take = () => {
    const waiting = all;
    all = [];
    return waiting;
  };
  return {
    wait: () =>
      new Promise((go, stop) => {
        all.push({ go, stop });
      }),
    go: () => {
      for (const w of take()) w.go();
    },
    stop: () => {
      const why = { title: 'You signed out', detail: 'This was not done.', status: 401, kind: 'unauthenticated' };
      for (const w of take()) w.stop(new Problem(why));
    },
  };
}
