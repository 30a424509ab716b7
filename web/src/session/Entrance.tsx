import { Login, LoginMainBody, LoginMainHeader, Title } from '@patternfly/react-core';
import type { ReactNode } from 'react';

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
      <LoginMainBody>{children}</LoginMainBody>
    </Login>
  );
}
