import { QueryClient } from '@tanstack/react-query';
import { asProblem } from '../api/problem';

/** How often what changes by itself is asked for again while it is on the screen, in milliseconds. */
export const liveInterval = 5_000;

/**
 * What the server answered, by key. A key begins with the kind of thing that it
 * is about, as notices name it ('workspace', 'client', 'image', 'alert-rule',
 * ...): so a notice of a change makes all of that kind be asked for anew.
 */
export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      refetchOnWindowFocus: true,
      // Only what may go by itself is tried again: a refusal stays one.
      retry: (count, thrown) => {
        const { kind } = asProblem(thrown);
        return count < 3 && (kind === 'unreachable' || kind === 'unavailable' || kind === 'not-ready');
      },
    },
  },
});
