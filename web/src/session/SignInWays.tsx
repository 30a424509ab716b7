import { Button, Divider, Spinner, Stack, StackItem } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { api, data, type Schemas } from '../api/client';
import { asProblem, type Problem } from '../api/problem';
import { Loaded } from '../components/Loaded';
import { accountOf } from './account';
import { begin, windowOf } from './openid';
import { PasswordForm } from './PasswordForm';
import { SignInProblem } from './SignInProblem';
import { hadTicket, mayTryTicket, signedIn, type Way } from './way';

interface Props {
  /** Who was signed in and goes on; absent: nobody was. */
  again?: Schemas['Session']['principal'];
  /** Called when the server has a session. */
  onSignedIn: () => Promise<void>;
}

const ticket = (signal?: AbortSignal) =>
  api.POST('/sessions/kerberos', {
    params: { header: { 'Dormer-Session': 'cookie' } },
    ...(signal === undefined ? {} : { signal }),
  });

/** How long a browser may take until it can give tickets, in milliseconds. */
const preparing = 1000;

/**
 * Signs in with a ticket that nobody was asked for. Chromium on Linux learns of
 * tickets only when a server wants the first one, and has none then: a browser
 * that has given none yet is asked twice.
 */
async function unasked(signal: AbortSignal): Promise<void> {
  try {
    await ticket(signal);
  } catch (thrown) {
    if (hadTicket() || asProblem(thrown).kind !== 'unauthenticated') throw thrown;
    await new Promise((go) => {
      setTimeout(go, preparing);
    });
    signal.throwIfAborted();
    await ticket(signal);
  }
}

/** Asks the server which ways to sign in it offers. */
export const useWays = () =>
  useQuery({ queryKey: ['sign-in-methods'], queryFn: () => data(api.GET('/sign-in-methods')) });

/** The ways to sign in that the server offers. A ticket is tried unasked, without a word when there is none. */
export function SignInWays({ again, onSignedIn }: Props) {
  const methods = useWays();
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const goesOn = again !== undefined;
  const kerberos = methods.data?.kerberos === true;

  const done = async (way: Way) => {
    signedIn(way);
    await onSignedIn();
  };

  useEffect(() => {
    if (!kerberos || !mayTryTicket(goesOn)) return undefined;
    const leaving = new AbortController();
    unasked(leaving.signal).then(
      () => {
        signedIn('kerberos');
        return onSignedIn();
      },
      () => undefined,
    );
    return () => leaving.abort();
  }, [kerberos, goesOn, onSignedIn]);

  const attempt = async (act: () => Promise<unknown>) => {
    setBusy(true);
    setProblem(undefined);
    try {
      await act();
    } catch (thrown) {
      setProblem(asProblem(thrown));
    } finally {
      setBusy(false);
    }
  };
  const withTicket = async () => {
    await ticket();
    await done('kerberos');
  };
  /** Who goes on signs in beside what they were doing; others go to the provider and come back. */
  const atProvider = async (name: string) => {
    if (goesOn) window.open(windowOf(name), '_blank', 'popup,width=560,height=720');
    else await begin(name, window.location.href, false);
  };
  return (
    <Loaded query={methods} what="ways to sign in">
      {(m) => (
        <Stack hasGutter>
          {m.directories.length > 0 && (
            <StackItem>
              <PasswordForm
                directories={m.directories}
                user={again ? accountOf(again, m.directories) : ''}
                onSignedIn={() => done('password')}
              />
            </StackItem>
          )}
          {m.directories.length > 0 && (m.kerberos || m.providers.length > 0) && <Divider />}
          {problem && (
            <StackItem>
              <SignInProblem problem={problem} />
            </StackItem>
          )}
          {m.kerberos && (
            <StackItem>
              <Button variant="secondary" isBlock isDisabled={busy} onClick={() => void attempt(withTicket)}>
                Sign in as you are signed in to this computer
              </Button>
            </StackItem>
          )}
          {m.providers.map((p) => (
            <StackItem key={p.name}>
              <Button
                variant="secondary"
                isBlock
                isDisabled={busy}
                onClick={() => void attempt(() => atProvider(p.name))}
              >
                Sign in with <span className="dormer-name">{p.title}</span>
              </Button>
            </StackItem>
          ))}
          {busy && <Spinner size="md" aria-label="Signing in" />}
        </Stack>
      )}
    </Loaded>
  );
}
