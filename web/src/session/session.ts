import { createContext, useContext } from 'react';
import type { Schemas } from '../api/client';

/** Who is signed in, and how that ends. */
export interface Signed {
  session: Schemas['Session'];
  signOut: () => Promise<void>;
}

export const SessionContext = createContext<Signed | null>(null);

/** Who is signed in: everything below SessionProvider may ask. */
export function useSession(): Signed {
  const signed = useContext(SessionContext);
  if (!signed) throw new Error('nobody is signed in here');
  return signed;
}

/** Names somebody who is signed in, among all directories. */
export const whose = (s: Schemas['Session']): string => `${s.principal.directory}/${s.principal.key}`;

/** Names who is signed in: what the browser keeps for them is kept by it. */
export const useWho = (): string => whose(useSession().session);

/** Why the operator may not change things; undefined: they may. Controls say it instead of vanishing. */
export function useReadOnly(): string | undefined {
  const { session } = useSession();
  return session.role === 'full' ? undefined : 'Your role is read-only: it shows everything and changes nothing.';
}
