import { Bullseye, Spinner } from '@patternfly/react-core';
import { useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import { api, data, onSessionEnd, type Schemas } from '../api/client';
import { asProblem } from '../api/problem';
import { SessionContext } from './session';
import { SignIn } from './SignIn';

type Session = Schemas['Session'];

/**
 * Lets nobody further who is not signed in. Whose session ends in the middle
 * of something signs in above it, and goes on: nothing below is unmounted.
 */
export function SessionProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [session, setSession] = useState<Session | null>(null);
  const [asked, setAsked] = useState(false);
  const [again, setAgain] = useState(false);
  const waiting = useRef<(() => void)[]>([]);

  const look = useCallback(async () => {
    try {
      setSession(await data(api.GET('/sessions/current')));
      setAgain(false);
      for (const go of waiting.current.splice(0)) go();
    } catch (thrown) {
      if (asProblem(thrown).kind !== 'unauthenticated') throw thrown;
    } finally {
      setAsked(true);
    }
  }, []);

  useEffect(() => {
    look().catch(() => undefined);
    onSessionEnd(
      () =>
        new Promise((go) => {
          waiting.current.push(go);
          setAgain(true);
        }),
    );
  }, [look]);

  const signOut = useCallback(async () => {
    await api.DELETE('/sessions/current');
    setSession(null);
    client.clear();
  }, [client]);

  const signed = useMemo(() => (session ? { session, signOut } : null), [session, signOut]);
  if (!asked) {
    return (
      <Bullseye>
        <Spinner aria-label="The console is loading" />
      </Bullseye>
    );
  }
  if (!signed) return <SignIn onSignedIn={look} />;
  return (
    <SessionContext value={signed}>
      {children}
      {again && <SignIn onSignedIn={look} again={signed.session.principal.name} />}
    </SessionContext>
  );
}
