import { Login, LoginMainBody, LoginMainHeader, Title } from '@patternfly/react-core';
import { lazy, Suspense, type ReactNode } from 'react';
import { served } from '../app/base';

const ServerFirst = lazy(async () => ({ default: (await import('../modules/local/ServerFirst')).ServerFirst }));

/** The page of people who are not signed in. */
export function Entrance({ children }: { children: ReactNode }) {
  return (
    <Login>
      <LoginMainHeader>
        <Title headingLevel="h1" size="3xl">
          Sign in to Dormer
        </Title>
        <p>As an operator of this instance</p>
      </LoginMainHeader>
      <LoginMainBody>
        {served().local ? (
          <Suspense fallback={null}>
            <ServerFirst>{children}</ServerFirst>
          </Suspense>
        ) : (
          children
        )}
      </LoginMainBody>
    </Login>
  );
}
