import { Alert, AlertActionLink, Spinner } from '@patternfly/react-core';
import { useEffect, useRef, useState } from 'react';
import { asProblem, Problem } from '../api/problem';
import { basePath } from '../app/base';
import { useTitle } from '../app/theme';
import { Entrance } from './Entrance';
import { begin, finish, Refusal } from './openid';
import { SignInProblem } from './SignInProblem';
import { signedIn, tell } from './way';

const problemOf = (thrown: unknown): Problem =>
  thrown instanceof Refusal
    ? new Problem({ title: 'You are not signed in', status: 0, detail: thrown.message })
    : asProblem(thrown);

/** Where a provider sends people back to: finishes the sign-in and goes on to what they asked for. */
export function Return() {
  useTitle('Sign in');
  const [problem, setProblem] = useState<Problem>();
  const [done, setDone] = useState(false);
  const began = useRef(false);
  useEffect(() => {
    // A code counts once, and effects may run twice.
    if (began.current) return;
    began.current = true;
    const { search } = window.location;
    const provider = new URLSearchParams(search).get('begin');
    const act = async () => {
      if (provider !== null) {
        await begin(provider, basePath(), true);
        return;
      }
      const { wanted, closes } = await finish(search);
      signedIn('openid');
      tell('in');
      if (!closes) {
        window.location.replace(wanted);
        return;
      }
      setDone(true);
      window.close();
    };
    act().catch((thrown: unknown) => setProblem(problemOf(thrown)));
  }, []);
  return (
    <Entrance>
      {!problem && !done && <Spinner aria-label="Signing in" />}
      {done && <Alert isInline variant="success" title="You are signed in: this window can be closed" />}
      {problem && (
        <>
          <SignInProblem problem={problem} />
          <AlertActionLink component="a" href={basePath()}>
            Back to the console
          </AlertActionLink>
        </>
      )}
    </Entrance>
  );
}
