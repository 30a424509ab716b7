import { Button } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';
import { stateQuery } from './api';

const ServerChoice = lazy(async () => ({ default: (await import('./ServerChoice')).ServerChoice }));

/** Names the server that the console works with, and lets people change it: the one place for that. */
export function ServerButton() {
  const state = useQuery(stateQuery);
  const [choosing, setChoosing] = useState(false);
  return (
    <>
      <Button variant="link" onClick={() => setChoosing(true)}>
        Server: <span className="dormer-name">{state.data?.server?.name ?? 'choose one'}</span>
      </Button>
      {choosing && (
        <Suspense fallback={null}>
          <ServerChoice onClose={() => setChoosing(false)} />
        </Suspense>
      )}
    </>
  );
}
