import type { ReactNode } from 'react';
import type { Schemas } from '../api/client';
import { SessionContext } from './session';

interface Props {
  name?: string;
  role?: Schemas['Session']['role'];
  children: ReactNode;
}

const session = (name: string, role: Schemas['Session']['role']): Schemas['Session'] => ({
  principal: { kind: 'user', directory: 'local', name, key: name },
  role,
  created: '2026-01-01T08:00:00Z',
  expires: '2026-01-01T20:00:00Z',
});

/** Somebody who is signed in, for tests without a server. */
export function AsOperator({ name = 'alice', role = 'full', children }: Props) {
  return (
    <SessionContext value={{ session: session(name, role), signOut: () => Promise.resolve() }}>
      {children}
    </SessionContext>
  );
}
