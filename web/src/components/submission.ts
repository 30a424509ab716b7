import { useCallback, useState } from 'react';

/** What a form does when it is sent: one thing at a time, and what went wrong with the last. */
export interface Submission {
  /** What the last attempt threw; undefined: nothing. */
  problem: unknown;
  busy: boolean;
  /** Does it, unless something is being done. */
  attempt: (act: () => Promise<unknown>) => Promise<void>;
}

/** Does what a form is for. What is thrown is kept, so that the form can show it and stays as it is. */
export function useSubmission(): Submission {
  const [problem, setProblem] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const attempt = useCallback(
    async (act: () => Promise<unknown>) => {
      if (busy) return;
      setBusy(true);
      try {
        await act();
        setProblem(undefined);
      } catch (thrown) {
        setProblem(thrown);
      } finally {
        setBusy(false);
      }
    },
    [busy],
  );
  return { problem, busy, attempt };
}
