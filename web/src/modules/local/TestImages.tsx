import { Button, EmptyState, EmptyStateActions, EmptyStateBody, EmptyStateFooter, Label } from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { Confirm } from '../../components/Confirm';
import { rowAction } from '../../components/rowAction';
import { DataTable, type Column } from '../../components/DataTable';
import { Loaded } from '../../components/Loaded';
import { bytes, Time } from '../../components/format';
import { useMessages } from '../../components/messages';
import { AddTestImage } from './AddTestImage';
import { imagesQuery, local, type LocalSchemas } from './api';
import { PackImage } from './PackImage';
import { StartRun } from './StartRun';

type TestImage = LocalSchemas['TestImage'];

const columns: Column<TestImage>[] = [
  { name: 'Name', cell: (t) => <span className="dormer-name">{t.name}</span>, sort: (t) => t.name },
  { name: 'Disk', cell: (t) => <code className="dormer-name">{t.disk}</code>, sort: (t) => t.disk },
  {
    name: 'State',
    cell: (t) => <TestState test={t} />,
    sort: (t) => (t.running === undefined ? 1 : 0),
  },
  { name: 'Takes', cell: (t) => bytes(t.size), sort: (t) => t.size },
  { name: 'Added', cell: (t) => <Time at={t.created} />, sort: (t) => t.created },
];

function TestState({ test }: { test: TestImage }) {
  if (test.missing) return <Label status="danger">the disk is gone</Label>;
  if (test.running !== undefined) return <Link to={`runs/${test.running}`}>runs: show its screen</Link>;
  return <>does not run</>;
}

const inUse = (t: TestImage): string | undefined =>
  t.running === undefined ? undefined : 'It runs. End the run first.';
const lost = (t: TestImage): string | undefined => (t.missing ? 'Its disk is gone.' : undefined);

/** Disks that are being prepared and tried here. */
export function TestImages() {
  const queries = useQueryClient();
  const say = useMessages();
  const query = useQuery(imagesQuery);
  const [adding, setAdding] = useState(false);
  const [running, setRunning] = useState<TestImage>();
  const [packing, setPacking] = useState<TestImage>();
  const [removing, setRemoving] = useState<TestImage>();
  const add = <Button onClick={() => setAdding(true)}>Add a test image</Button>;
  return (
    <Loaded query={query} what="test images">
      {({ tests }) => (
        <>
          <DataTable
            label="test images"
            columns={columns}
            rows={tests ?? []}
            id={(t) => t.name}
            text={(t) => `${t.name}\n${t.disk}`}
            searchKey="search"
            tools={add}
            name={(t) => t.name}
            actions={(t) => [
              rowAction('Test…', inUse(t) ?? lost(t), () => setRunning(t)),
              rowAction('Pack…', inUse(t) ?? lost(t), () => setPacking(t)),
              rowAction('Forget…', inUse(t), () => setRemoving(t)),
            ]}
            empty={
              <EmptyState titleText="There are no test images here yet" headingLevel="h2">
                <EmptyStateBody>
                  A test image is a disk file of this computer with a system in it. Try it under the policy of a
                  workspace, pack it when it is good, and upload it.
                </EmptyStateBody>
                <EmptyStateFooter>
                  <EmptyStateActions>{add}</EmptyStateActions>
                </EmptyStateFooter>
              </EmptyState>
            }
          />
          {adding && <AddTestImage onClose={() => setAdding(false)} />}
          {running && <StartRun test={running.name} onClose={() => setRunning(undefined)} />}
          {packing && <PackImage test={packing.name} onClose={() => setPacking(undefined)} />}
          {removing && (
            <Confirm
              title={`Forget test image ${removing.name}?`}
              verb="Forget"
              act={async () => {
                await local.DELETE('/tests/{name}', { params: { path: { name: removing.name } } });
                await queries.invalidateQueries({ queryKey: ['local-image'] });
                say.done(`${removing.name} is forgotten`);
              }}
              onClose={() => setRemoving(undefined)}
            >
              It vanishes from this list. Its disk stays where it is:{' '}
              <code className="dormer-name">{removing.disk}</code>
            </Confirm>
          )}
        </>
      )}
    </Loaded>
  );
}
