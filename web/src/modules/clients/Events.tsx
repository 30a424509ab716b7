import { EmptyState, EmptyStateBody, Label } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { api, data, type Schemas } from '../../api/client';
import { liveInterval } from '../../app/queries';
import { DataTable, type Column } from '../../components/DataTable';
import { Loaded } from '../../components/Loaded';
import { Time } from '../../components/format';
import { reportLink } from '../../report/link';

type Row = Schemas['EventRow'];

const columns: Column<Row>[] = [
  { name: 'Time', cell: (r) => r.time !== undefined && <Time at={r.time} />, sort: (r) => r.time ?? '' },
  {
    name: 'Severity',
    cell: (r) => (
      <Label isCompact status={r.severity === 'error' ? 'danger' : r.severity === 'warning' ? 'warning' : undefined}>
        {r.severity}
      </Label>
    ),
    sort: (r) => r.severity ?? '',
  },
  { name: 'Event', cell: (r) => r.code, sort: (r) => r.code ?? 0 },
  {
    name: 'Workspace',
    cell: (r) => <span className="dormer-name">{r.workspace_name}</span>,
    sort: (r) => r.workspace_name ?? '',
  },
  { name: 'User', cell: (r) => <span className="dormer-name">{r.user}</span>, sort: (r) => r.user ?? '' },
  { name: 'Description', cell: (r) => <span className="dormer-name">{r.description}</span> },
];

const days = 7;
const newest = 200;

/** What happened on a client lately; the report has all of it. */
export function Events({ client }: { client: string }) {
  const query = useQuery({
    queryKey: ['client', client, 'events'],
    queryFn: () =>
      data(api.GET('/reports/activity', { params: { query: { client, days, sort: '-time', limit: newest } } })),
    refetchInterval: liveInterval,
  });
  return (
    <Loaded query={query} what="events">
      {({ items }) => (
        <>
          <p>
            The newest {newest} of the last {days} days.{' '}
            <Link to={reportLink('activity', { client, days })}>All in the report</Link>
          </p>
          <DataTable
            label="events"
            columns={columns}
            rows={items}
            id={(r) => `${r.time ?? ''} ${r.id ?? ''}`}
            text={(r) =>
              `${r.category ?? ''} ${r.code ?? ''} ${r.workspace_name ?? ''} ${r.user ?? ''} ${r.description ?? ''}`
            }
            sorted={{ column: 0, direction: 'desc' }}
            empty={
              <EmptyState titleText="Nothing happened" headingLevel="h2">
                <EmptyStateBody>This client has reported no event within {days} days.</EmptyStateBody>
              </EmptyState>
            }
          />
        </>
      )}
    </Loaded>
  );
}
