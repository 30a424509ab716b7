import { Content, EmptyState, EmptyStateBody, Label, Switch } from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { api, data, type Schemas } from '../../api/client';
import { liveInterval } from '../../app/queries';
import { Confirm } from '../../components/Confirm';
import { rowAction } from '../../components/rowAction';
import { DataTable, type Column } from '../../components/DataTable';
import { Loaded } from '../../components/Loaded';
import { ModulePage } from '../../components/ModulePage';
import { Time } from '../../components/format';
import { useMessages } from '../../components/messages';
import { useReadOnly } from '../../session/session';
import { useWorkspaceNames } from '../../components/workspaceNames';
import { orderName } from './orderKinds';

type Order = Schemas['Order'];

const shown: Record<string, { name: string; status?: 'success' | 'info' | 'danger' }> = {
  waiting: { name: 'Waits for the client', status: 'info' },
  done: { name: 'Done', status: 'success' },
  failed: { name: 'Failed', status: 'danger' },
  withdrawn: { name: 'Withdrawn' },
};

interface Props {
  /** Identity of the client; absent: orders to all clients. */
  client?: string;
  waiting?: boolean;
}

/** The newest orders and what became of them. */
export function Orders({ client, waiting = false }: Props) {
  const queries = useQueryClient();
  const say = useMessages();
  const readOnly = useReadOnly();
  const [withdrawing, setWithdrawing] = useState<Order>();
  const query = useQuery({
    queryKey: ['client', 'orders', client, waiting],
    queryFn: () =>
      data(
        api.GET('/orders', { params: { query: { ...(client === undefined ? {} : { client }), waiting, limit: 500 } } }),
      ),
    refetchInterval: liveInterval,
  });
  const nameOf = useWorkspaceNames();
  const columns: Column<Order>[] = [
    { name: 'Given', cell: (o) => <Time at={o.issued} />, sort: (o) => o.issued },
    { name: 'Order', cell: (o) => orderName(o.kind), sort: (o) => orderName(o.kind) },
    ...(client === undefined
      ? [
          {
            name: 'Client',
            cell: (o: Order) => (
              <Link className="dormer-name" to={`/clients/${o.client}`}>
                {o.host ?? o.client}
              </Link>
            ),
            sort: (o: Order) => o.host ?? o.client,
          },
        ]
      : []),
    { name: 'Machine', cell: (o) => <MachineOf order={o} nameOf={nameOf} /> },
    { name: 'By', cell: (o) => <span className="dormer-name">{o.by}</span>, sort: (o) => o.by },
    { name: 'Reason', cell: (o) => <span className="dormer-name">{o.reason}</span> },
    {
      name: 'State',
      cell: (o) => (
        <>
          <Label isCompact status={shown[o.state]?.status}>
            {shown[o.state]?.name ?? o.state}
          </Label>
          {o.done !== undefined && (
            <>
              {' '}
              <Time at={o.done} />
            </>
          )}
          {o.error !== undefined && <div className="dormer-name">{o.error}</div>}
        </>
      ),
      sort: (o) => o.state,
    },
  ];
  return (
    <>
      <Loaded query={query} what="orders">
        {({ items }) => (
          <DataTable
            label="orders"
            columns={columns}
            rows={items}
            id={(o) => o.id}
            text={(o) =>
              `${orderName(o.kind)} ${o.host ?? ''} ${o.client} ${o.user ?? ''} ${o.machine ?? ''} ${o.by} ${o.reason} ${o.error ?? ''}`
            }
            sorted={{ column: 0, direction: 'desc' }}
            name={(o) => `the order: ${orderName(o.kind)}`}
            actions={(o) => (o.state === 'waiting' ? [rowAction('Withdraw', readOnly, () => setWithdrawing(o))] : [])}
            empty={
              <EmptyState titleText={waiting ? 'No order waits' : 'No order was given'} headingLevel="h2">
                <EmptyStateBody>
                  Orders are given on a client&apos;s page. Each is carried out when the client asks next.
                </EmptyStateBody>
              </EmptyState>
            }
          />
        )}
      </Loaded>
      {withdrawing && (
        <Confirm
          title={`Withdraw the order: ${orderName(withdrawing.kind)}?`}
          verb="Withdraw"
          onClose={() => setWithdrawing(undefined)}
          act={async () => {
            await api.DELETE('/orders/{id}', { params: { path: { id: withdrawing.id } } });
            await queries.invalidateQueries({ queryKey: ['client'] });
            say.done('The order is withdrawn');
          }}
        >
          <Content component="p">
            A client that has it already, and has not reported it yet, may carry it out nevertheless.
          </Content>
        </Confirm>
      )}
    </>
  );
}

/** The machine that an order is to, by what people know of it. */
function MachineOf({ order: o, nameOf }: { order: Order; nameOf: (workspace: string) => string }) {
  if (o.machine === undefined) return 'all';
  if (o.workspace === undefined) return <span className="dormer-name">{o.machine}</span>;
  return (
    <>
      <Link className="dormer-name" to={`/workspaces/${o.workspace}`}>
        {nameOf(o.workspace)}
      </Link>{' '}
      of <span className="dormer-name">{o.user}</span>
    </>
  );
}

/** Orders to all clients. */
export function OrdersPage() {
  const [params, setParams] = useSearchParams();
  const waiting = params.get('waiting') === 'true';
  return (
    <ModulePage title="Orders" above={[{ name: 'Clients', to: '/clients' }]} says="What clients were ordered to do.">
      <Switch
        id="orders-waiting"
        label="Only those that wait for their clients"
        isChecked={waiting}
        onChange={(_, on) => setParams(on ? { waiting: 'true' } : {}, { replace: true })}
      />
      <Orders waiting={waiting} />
    </ModulePage>
  );
}
