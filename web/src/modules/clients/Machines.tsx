import { EmptyState, EmptyStateBody, ExpandableSection, Label, LabelGroup } from '@patternfly/react-core';
import type { IAction } from '@patternfly/react-table';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { api, data, type Schemas } from '../../api/client';
import { liveInterval } from '../../app/queries';
import { rowAction } from '../../components/rowAction';
import { DataTable, type Column } from '../../components/DataTable';
import { Loaded } from '../../components/Loaded';
import { plural, Time } from '../../components/format';
import { useReadOnly } from '../../session/session';
import { OrderDialog } from './OrderDialog';
import { kinds, orders, type Kind } from './orderKinds';
import { machineState } from '../../components/machineState';
import { offlineUntil } from './state';

type Client = Schemas['Client'];
type Machine = Schemas['Machine'] & { row: Schemas['StatusRow'] | undefined };

const nameOf = (m: Machine): string => m.row?.workspace ?? m.workspace;

/** Some fields of a policy: how many, and which when somebody wants to know. */
function Fields({ of, says }: { of: string[]; says: string }) {
  if (of.length === 0) return null;
  return (
    <ExpandableSection toggleText={`${plural(of.length, 'setting')} ${says}`}>
      <ul className="dormer-name">
        {of.map((field) => (
          <li key={field}>{field}</li>
        ))}
      </ul>
    </ExpandableSection>
  );
}

/** What of its policy a machine does not follow, or not yet. */
function Follows({ machine: m }: { machine: Machine }) {
  const current = m.row?.policy_revision;
  return (
    <>
      {m.policy_revision === undefined ? 'no policy reported' : `revision ${m.policy_revision}`}
      {current !== undefined && m.policy_revision !== undefined && current !== m.policy_revision && ` of ${current}`}
      <Fields of={m.at_next_start ?? []} says="taken over at the next start" />
      <Fields of={m.not_enforced ?? []} says="not enforced" />
    </>
  );
}

/** The machines of a client as it reports them, and orders to each. */
export function Machines({ client }: { client: Client }) {
  const readOnly = useReadOnly();
  const [ordering, setOrdering] = useState<{ kind: Kind; machine: Machine }>();
  const query = useQuery({
    queryKey: ['client', client.id, 'machines'],
    queryFn: async (): Promise<Machine[]> => {
      const [machines, rows] = await Promise.all([
        data(api.GET('/machines', { params: { query: { client: client.id } } })),
        data(api.GET('/reports/status', { params: { query: { client: client.id, limit: 1000 } } })),
      ]);
      return machines.items.map((m) => Object.assign(m, { row: rows.items.find((r) => r.machine === m.id) }));
    },
    refetchInterval: liveInterval,
  });
  const columns: Column<Machine>[] = [
    {
      name: 'Workspace',
      cell: (m) => (
        <>
          <Link className="dormer-name" to={`/workspaces/${m.workspace}`}>
            {nameOf(m)}
          </Link>
          <br />
          <small className="dormer-name">{m.guest ?? m.computer_name ?? 'no computer name yet'}</small>
        </>
      ),
      sort: nameOf,
    },
    { name: 'User', cell: (m) => <span className="dormer-name">{m.user.name}</span>, sort: (m) => m.user.name },
    {
      name: 'State',
      cell: (m) => (
        <>
          <LabelGroup aria-label={`State of ${nameOf(m)}`}>
            <Label isCompact status={m.state === 'running' ? 'success' : m.state === 'failed' ? 'danger' : undefined}>
              {machineState(m.state)}
            </Label>
            {m.locked === true && (
              <Label isCompact status="warning">
                Locked
              </Label>
            )}
          </LabelGroup>
          {m.detail !== undefined && <div className="dormer-name dormer-sentence">{m.detail}</div>}
        </>
      ),
      sort: (m) => machineState(m.state),
    },
    {
      name: 'Image and policy',
      cell: (m) => (
        <>
          <span className="dormer-name">{m.row?.image ?? 'no image reported'}</span>
          <br />
          <Follows machine={m} />
        </>
      ),
      sort: (m) => m.row?.image ?? '',
    },
    {
      name: 'Off-line until',
      cell: (m) => {
        const until = offlineUntil(client, m);
        if (until !== undefined) return <Time at={until} />;
        return m.offline_budget_seconds === undefined ? 'no limit known' : 'no end';
      },
    },
  ];
  const actions = (m: Machine): IAction[] =>
    kinds
      .filter((kind) => orders[kind].for.includes('machine'))
      .map((kind) =>
        rowAction(orders[kind].verb, readOnly, () => setOrdering({ kind, machine: m }), orders[kind].destroys === true),
      );
  return (
    <>
      <Loaded query={query} what="machines">
        {(machines) => (
          <DataTable
            label="machines"
            columns={columns}
            rows={machines}
            id={(m) => m.id}
            text={(m) => `${nameOf(m)} ${m.computer_name ?? ''} ${m.user.name} ${m.row?.image ?? ''} ${m.id}`}
            name={nameOf}
            actions={client.revoked === undefined ? actions : () => []}
            empty={
              <EmptyState titleText="No machine yet" headingLevel="h2">
                <EmptyStateBody>
                  Somebody who is granted a workspace signs in on this computer, and it gets a machine.
                </EmptyStateBody>
              </EmptyState>
            }
          />
        )}
      </Loaded>
      {ordering && (
        <OrderDialog
          kind={ordering.kind}
          client={{ id: client.id, name: client.host.name }}
          machine={{ id: ordering.machine.id, name: nameOf(ordering.machine) }}
          onClose={() => setOrdering(undefined)}
        />
      )}
    </>
  );
}
