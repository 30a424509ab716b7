import { EmptyState, Label } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { api, data, type Schemas } from '../api/client';
import { liveInterval } from '../app/queries';
import { DataTable, type Column } from './DataTable';
import { Loaded } from './Loaded';
import { ago } from './format';

type Part = Schemas['HealthPart'];

const ranks = ['error', 'warning', 'ok'];

/** How something is, in colour and word. */
export function HealthLabel({ status }: { status: string }) {
  if (status === 'ok') return <Label status="success">Well</Label>;
  return (
    <Label status={status === 'warning' ? 'warning' : 'danger'}>{status === 'warning' ? 'Warning' : 'Error'}</Label>
  );
}

/** How the server is, asked again while it is looked at. */
export const useHealth = () =>
  useQuery({ queryKey: ['health'], queryFn: () => data(api.GET('/health')), refetchInterval: 6 * liveInterval });

const columns: Column<Part>[] = [
  { name: 'State', cell: (p) => <HealthLabel status={p.status} />, sort: (p) => ranks.indexOf(p.status) },
  { name: 'Part', cell: (p) => p.part, sort: (p) => p.part },
  { name: 'Found', cell: (p) => p.found },
  { name: 'What to do', cell: (p) => p.to_do ?? '' },
  { name: 'Since', cell: (p) => (p.since === undefined ? '' : ago(p.since)), sort: (p) => p.since ?? '' },
];

/** How the server is, part by part, and what to do about it. */
export function HealthTable() {
  const query = useHealth();
  return (
    <Loaded query={query} what="server's health">
      {({ parts }) => (
        <DataTable
          label="parts of the server"
          columns={columns}
          rows={parts}
          id={(p) => p.part}
          empty={<EmptyState titleText="The server says nothing of its parts" headingLevel="h2" />}
        />
      )}
    </Loaded>
  );
}
