import { Bullseye, Spinner, Stack } from '@patternfly/react-core';
import { useQueryClient } from '@tanstack/react-query';
import { Fragment, lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import { api, data, onSessionEnd, type Schemas } from '../api/client';
import { asProblem, type Problem } from '../api/problem';
import { served } from '../app/base';
import { ProblemAlert } from '../components/ProblemAlert';
import { isReturn } from './openid';
import { Return } from './Return';
import { SessionContext, whose } from './session';
import { SignIn } from './SignIn';
import { waiters } from './waiters';
import { listen, signedOut, tell } from './way';

const ServerButton = lazy(async () => ({ default: (await import('../modules/local/ServerButton')).ServerButton }));

type Session = Schemas['Session'];

/**
 * Lets nobody further who is not signed in. Whose session ends in the middle
 * of something signs in above it, and goes on: nothing below is unmounted. When
 * somebody else does, what the one before entered is not for them.
 */
export function SessionProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [session, setSession] = useState<Session | null>(null);
  const [asked, setAsked] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const [again, setAgain] = useState(false);
  const [waiting] = useState(waiters);
  const last = useRef('');

  const look = useCallback(async () => {
    try {
      const found = await data(api.GET('/sessions/current'));
      const other = last.current !== '' && last.current !== whose(found);
      last.current = whose(found);
      if (other) client.clear();
      setSession(found);
      setAgain(false);
      setProblem(undefined);
      if (other) waiting.stop();
      else waiting.go();
    } catch (thrown) {
      const why = asProblem(thrown);
      if (why.kind !== 'unauthenticated') throw why;
      setProblem(undefined);
    } finally {
      setAsked(true);
    }
  }, [client, waiting]);

  const lookFirst = useCallback(() => {
    look().catch((thrown: unknown) => setProblem(asProblem(thrown)));
  }, [look]);

  const leave = useCallback(() => {
    setSession(null);
    setAgain(false);
    client.clear();
    waiting.stop();
  }, [client, waiting]);

  useEffect(() => {
    if (isReturn()) return undefined;
    lookFirst();
    onSessionEnd(() => {
      setAgain(true);
      return waiting.wait();
    });
    return listen((word) => {
      if (word === 'out') leave();
      else lookFirst();
    });
  }, [lookFirst, leave, waiting]);

  const signOut = useCallback(async () => {
    try {
      await api.DELETE('/sessions/current');
    } catch (thrown) {
      // A session that has ended needs no end.
      if (asProblem(thrown).kind !== 'unauthenticated') throw thrown;
    }
    signedOut();
    leave();
    tell('out');
  }, [leave]);

  const enter = useCallback(async () => {
    await look();
    tell('in');
  }, [look]);

  const signed = useMemo(() => (session ? { session, signOut } : null), [session, signOut]);
  if (isReturn()) return <Return />;
  if (!asked) {
    return (
      <Bullseye>
        <Spinner aria-label="The console is loading" />
      </Bullseye>
    );
  }
  if (problem && !signed) {
    return (
      <Bullseye>
        <Stack hasGutter>
          <ProblemAlert problem={problem} title="The console could not be loaded" retry={lookFirst} />
          {served().local && (
            <Suspense fallback={null}>
              <ServerButton />
            </Suspense>
          )}
        </Stack>
      </Bullseye>
    );
  }
  if (!signed) return <SignIn onSignedIn={enter} />;
  return (
    <SessionContext value={signed}>
      <Fragment key={whose(signed.session)}>{children}</Fragment>
      {again && <SignIn onSignedIn={enter} again={signed.session.principal} />}
    </SessionContext>
  );
}
