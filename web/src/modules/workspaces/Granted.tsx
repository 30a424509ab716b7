import { Button, EmptyState, EmptyStateBody, Title } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { api, data, type Schemas } from '../../api/client';
import { DataTable, type Column } from '../../components/DataTable';
import { Loaded } from '../../components/Loaded';
import { PrincipalStateLabel, type PrincipalState } from './PrincipalStateLabel';

/** Whom the grants name, and what the directories know of them now. */
export function Granted({ id, ask }: { id: string; ask: (p: Schemas['Principal']) => void }) {
  const query = useQuery({
    queryKey: ['workspace', id, 'principals'],
    queryFn: () => data(api.GET('/workspaces/{id}/principals', { params: { path: { id } } })),
  });
  const columns: Column<PrincipalState>[] = [
    {
      name: 'Granted to',
      sort: (p) => p.principal.name,
      cell: (p) => (
        <span className="dormer-name">{`${p.principal.kind} ${p.principal.directory} ${p.principal.name}`}</span>
      ),
    },
    {
      name: 'In the directory',
      sort: (p) => p.state,
      cell: (p) => <PrincipalStateLabel state={p} />,
    },
    {
      name: 'What they get',
      cell: (p) =>
        p.principal.kind === 'user' ? (
          <Button variant="link" isInline onClick={() => ask(p.principal)}>
            {`What ${p.principal.name} gets`}
          </Button>
        ) : null,
    },
  ];
  return (
    <>
      <Title headingLevel="h2">Whom it is granted to</Title>
      <Loaded query={query} what="grants">
        {({ items }) => (
          <DataTable
            label="grants"
            columns={columns}
            rows={items}
            id={(p) => String(p.grant)}
            text={(p) => `${p.principal.name} ${p.state} ${p.name ?? ''}`}
            empty={
              <EmptyState titleText="Nobody is granted it yet" headingLevel="h3" variant="xs">
                <EmptyStateBody>Grant it to a group or a user on the tab Deployment.</EmptyStateBody>
              </EmptyState>
            }
          />
        )}
      </Loaded>
    </>
  );
}
