import { Alert, Content, EmptyState, EmptyStateBody, Label } from '@patternfly/react-core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { api, type Schemas } from '../../api/client';
import { ActionButton } from '../../components/ActionButton';
import { Confirm } from '../../components/Confirm';
import { DataTable, type Column } from '../../components/DataTable';
import { Loaded } from '../../components/Loaded';
import { ModulePage } from '../../components/ModulePage';
import { plural, Time } from '../../components/format';
import { useMessages } from '../../components/messages';
import { useWorkspaceNames } from '../../components/workspaceNames';
import { useDeletions } from './WaitingDeletions';

type Deletion = Schemas['Deletion'];

/** The machines that their policies want deleted, and that wait for somebody who has looked. */
export function Deletions() {
  const query = useDeletions();
  const queries = useQueryClient();
  const say = useMessages();
  const [confirming, setConfirming] = useState(false);
  const called = useWorkspaceNames();
  const columns: Column<Deletion>[] = [
    { name: 'User', cell: (d) => <span className="dormer-name">{d.user}</span>, sort: (d) => d.user },
    {
      name: 'Workspace',
      cell: (d) => (
        <Link className="dormer-name" to={`/workspaces/${d.workspace}`}>
          {called(d.workspace)}
        </Link>
      ),
      sort: (d) => called(d.workspace),
    },
    { name: 'Reason', cell: (d) => d.reason, sort: (d) => d.reason },
    { name: 'Revision', cell: (d) => d.revision, sort: (d) => d.revision },
    {
      name: 'State',
      cell: (d) =>
        d.state === 'halted' ? (
          <Label isCompact status="warning">
            Waits for you
          </Label>
        ) : (
          `Confirmed by ${d.confirmed_by ?? ''}, waits for the client`
        ),
      sort: (d) => d.state,
    },
    { name: 'Since', cell: (d) => <Time at={d.since} />, sort: (d) => d.since },
    { name: 'Client', cell: (d) => <Link to={`/clients/${d.client}`}>Show</Link> },
  ];
  const halted = (query.data?.items ?? []).filter((d) => d.state === 'halted').length;
  return (
    <ModulePage
      title="Deletions that wait"
      above={[{ name: 'Clients', to: '/clients' }]}
      says="A policy may have a machine deleted when its grant is disabled or has expired. More than 5 % of all machines within an hour wait here."
      actions={
        halted > 0 && (
          <ActionButton variant="danger" onClick={() => setConfirming(true)}>
            Let {plural(halted, 'deletion')} go on
          </ActionButton>
        )
      }
    >
      <Loaded query={query} what="deletions">
        {({ items }) => (
          <>
            {halted > 0 && (
              <Alert
                isInline
                isPlain
                variant="info"
                title="To keep the machines, correct their workspaces"
                component="p"
              >
                Enable the grant again, or give it a later date: then nothing is deleted.
              </Alert>
            )}
            <DataTable
              label="deletions"
              columns={columns}
              rows={items}
              id={(d) => d.machine}
              text={(d) => `${d.user} ${called(d.workspace)} ${d.reason} ${d.machine} ${d.client}`}
              sorted={{ column: 5, direction: 'asc' }}
              empty={
                <EmptyState titleText="No deletion waits" headingLevel="h2">
                  <EmptyStateBody>
                    Few machines at once are deleted as their policies say, without asking.
                  </EmptyStateBody>
                </EmptyState>
              }
            />
          </>
        )}
      </Loaded>
      {confirming && (
        <Confirm
          title={`Delete ${plural(halted, 'machine')} with their data?`}
          verb="Let them go on"
          name={String(halted)}
          onClose={() => setConfirming(false)}
          act={async () => {
            await api.POST('/deletions/confirm', { body: { count: halted } });
            await queries.invalidateQueries({ queryKey: ['deletions'] });
            say.done(`${plural(halted, 'deletion')} confirmed`);
          }}
        >
          <Content component="p">
            Each machine is deleted with its data when its client asks next, unless its policy has changed until then.
            It cannot be undone.
          </Content>
        </Confirm>
      )}
    </ModulePage>
  );
}
