import { Button, EmptyState, EmptyStateBody, Label, Title } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { api, data, type Schemas } from '../../api/client';
import { DataTable, type Column } from '../../components/DataTable';
import { Loaded } from '../../components/Loaded';

type State = Schemas['PrincipalState'];

const words: Record<string, { text: string; color: 'green' | 'orange' | 'red' | 'grey' }> = {
  found: { text: 'found', color: 'green' },
  renamed: { text: 'renamed', color: 'orange' },
  gone: { text: 'gone: nobody gets it by this grant', color: 'red' },
  unknown: { text: 'not known: the directory does not answer', color: 'grey' },
};

/** Whom the grants name, and what the directories know of them now. */
export function Granted({ id, ask }: { id: string; ask: (p: Schemas['Principal']) => void }) {
  const query = useQuery({
    queryKey: ['workspace', id, 'principals'],
    queryFn: () => data(api.GET('/workspaces/{id}/principals', { params: { path: { id } } })),
  });
  const columns: Column<State>[] = [
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
      cell: (p) => (
        <>
          <Label isCompact color={words[p.state]?.color ?? 'grey'}>
            {words[p.state]?.text ?? p.state}
          </Label>{' '}
          <span className="dormer-name">
            {[p.name === p.principal.name ? '' : p.name, p.detail].filter(Boolean).join(' · ')}
          </span>
        </>
      ),
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
