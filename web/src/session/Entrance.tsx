import { Bullseye, Card, CardBody, CardHeader, Title } from '@patternfly/react-core';
import { lazy, Suspense, type ReactNode } from 'react';
import { served } from '../app/base';

const ServerFirst = lazy(async () => ({ default: (await import('../modules/local/ServerFirst')).ServerFirst }));

/** The page of people who are not signed in. */
export function Entrance({ children }: { children: ReactNode }) {
  return (
    <Bullseye className="dormer-entrance">
      <Card component="main" isLarge>
        <CardHeader>
          <img className="dormer-logo" src={new URL('icon.svg', document.baseURI).href} alt="" />
          <Title headingLevel="h1" size="2xl">
            Sign in to Dormer
          </Title>
          <p>As an operator of this instance</p>
        </CardHeader>
        <CardBody>
          {served().local ? (
            <Suspense fallback={null}>
              <ServerFirst>{children}</ServerFirst>
            </Suspense>
          ) : (
            children
          )}
        </CardBody>
      </Card>
    </Bullseye>
  );
}
