import { Button, Content, Stack, StackItem } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useState, type ReactNode } from 'react';
import { Loaded } from '../../components/Loaded';
import { stateQuery } from './api';
import { ServerButton } from './ServerButton';

const ServerChoice = lazy(async () => ({ default: (await import('./ServerChoice')).ServerChoice }));

/** Has people choose a server before they sign in to it, and another one when it is the wrong one. */
export function ServerFirst({ children }: { children: ReactNode }) {
  const state = useQuery(stateQuery);
  return (
    <Loaded query={state} what="servers that are known">
      {({ server }) =>
        server ? (
          <Stack hasGutter>
            <StackItem>{children}</StackItem>
            <StackItem>
              <ServerButton />
            </StackItem>
          </Stack>
        ) : (
          <NoServer />
        )
      }
    </Loaded>
  );
}

function NoServer() {
  const [choosing, setChoosing] = useState(false);
  return (
    <Stack hasGutter>
      <Content>This computer does not know yet which server you work with. You need its address.</Content>
      <Button isBlock onClick={() => setChoosing(true)}>
        Choose a server
      </Button>
      {choosing && (
        <Suspense fallback={null}>
          <ServerChoice onClose={() => setChoosing(false)} />
        </Suspense>
      )}
    </Stack>
  );
}
