import { Alert, Button, DescriptionList, Stack } from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';
import { useParams } from 'react-router';
import { Confirm } from '../../components/Confirm';
import { Loaded } from '../../components/Loaded';
import { ModulePage } from '../../components/ModulePage';
import { Time } from '../../components/format';
import { Fact } from '../../components/Fact';
import { isAlive, local, runsQuery, type LocalSchemas } from './api';
import { Waiting } from '../../components/Waiting';

type Run = LocalSchemas['Run'];

const Screen = lazy(async () => ({ default: (await import('./Screen')).Screen }));

const states: Record<Run['state'], string> = {
  starting: 'starts',
  running: 'runs',
  ending: 'is being shut down',
  ended: 'has ended',
  failed: 'has failed',
};

/** A machine that tries a test image: how it is, and its screen. */
export function RunPage() {
  const { id = '' } = useParams();
  const query = useQuery(runsQuery);
  const run = query.data?.find((r) => r.id === id);
  return (
    <ModulePage
      title={run ? `Test of ${run.test}` : 'Test'}
      above={[{ name: 'This computer', to: '/local' }]}
      actions={run && isAlive(run) && <Stop run={run} />}
    >
      <Loaded query={query} what="machine">
        {() =>
          run ? (
            <Shown run={run} />
          ) : (
            <Alert isInline variant="info" title="This machine is not there any more">
              <code>dormer console</code> was started anew, or many others ran since.
            </Alert>
          )
        }
      </Loaded>
    </ModulePage>
  );
}

function Shown({ run }: { run: Run }) {
  return (
    <Stack hasGutter>
      <DescriptionList isAutoFit autoFitMinModifier={{ default: '8rem' }} isCompact>
        <Fact term="State">
          {states[run.state]}
          {isAlive(run) && run.ready && ', its agent has answered'}
        </Fact>
        <Fact term="Policy">
          <span className="dormer-name">{run.workspace ?? 'none: nothing but the network'}</span>
        </Fact>
        <Fact term="Started">
          <Time at={run.started} />
        </Fact>
        <Fact term="System">{run.system ?? 'not known yet'}</Fact>
      </DescriptionList>
      {run.message !== undefined && (
        <Alert isInline variant={run.state === 'failed' ? 'danger' : 'info'} title="What came of it">
          {run.message}
        </Alert>
      )}
      {run.screen && (
        <Suspense fallback={<Waiting what="the screen" height="24rem" />}>
          <Screen run={run.id} label={`Screen of ${run.test}`} />
        </Suspense>
      )}
      {(run.warnings ?? []).length > 0 && (
        <Alert isInline variant="warning" title="What to know of this test">
          {(run.warnings ?? []).map((w) => (
            <p key={w}>{w}</p>
          ))}
        </Alert>
      )}
    </Stack>
  );
}

function Stop({ run }: { run: Run }) {
  const queries = useQueryClient();
  const [asking, setAsking] = useState(false);
  const stop = async () => {
    await local.POST('/runs/{id}/stop', { params: { path: { id: run.id } } });
    await Promise.all([
      queries.invalidateQueries({ queryKey: ['local-run'] }),
      queries.invalidateQueries({ queryKey: ['local-image'] }),
    ]);
  };
  const off = run.state === 'ending';
  return (
    <>
      <Button variant="secondary" isDanger={off} onClick={() => setAsking(true)}>
        {off ? 'Turn off' : 'Shut down'}
      </Button>
      {asking && (
        <Confirm
          title={off ? `Turn off ${run.test}?` : `Shut down ${run.test}?`}
          verb={off ? 'Turn off' : 'Shut down'}
          act={stop}
          onClose={() => setAsking(false)}
        >
          {off
            ? 'The guest is not asked any more. The disk stays as it was.'
            : 'The guest is asked to shut down. When it does not, the machine can be turned off. What it has written is thrown away: the disk stays as it was.'}
        </Confirm>
      )}
    </>
  );
}
