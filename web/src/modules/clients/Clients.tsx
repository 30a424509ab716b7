import {
  Content,
  EmptyState,
  EmptyStateActions,
  EmptyStateBody,
  EmptyStateFooter,
  ClipboardCopy,
  ClipboardCopyVariant,
} from '@patternfly/react-core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Link, useSearchParams } from 'react-router';
import { api, data } from '../../api/client';
import { liveInterval } from '../../app/queries';
import { LinkButton } from '../../components/LinkButton';
import { Loaded } from '../../components/Loaded';
import { ModulePage } from '../../components/ModulePage';
import { plural } from '../../components/format';
import { ClientTable } from './ClientTable';
import { Figures } from './Figures';
import { filtersOf, parametersOf, queryOf, selects, type Filters } from './filters';
import { lasting } from './state';
import { WaitingDeletions } from './WaitingDeletions';

/** The computers that run workspaces: all of them, live. */
export function Clients() {
  const [params, setParams] = useSearchParams();
  const filters = filtersOf(params);
  const change = (next: Partial<Filters>) =>
    setParams(parametersOf({ ...filters, page: 1, ...next }), { replace: true, preventScrollReset: true });
  const list = useQuery({
    queryKey: ['client', 'list', queryOf(filters)],
    queryFn: () => data(api.GET('/clients', { params: { query: queryOf(filters) } })),
    refetchInterval: liveInterval,
    placeholderData: keepPreviousData,
  });
  const figures = useQuery({
    queryKey: ['client', 'figures'],
    queryFn: () => data(api.GET('/client-figures')),
    refetchInterval: liveInterval,
  });
  return (
    <ModulePage
      title="Clients"
      says={
        figures.data && (
          <>
            {plural(figures.data.running_machines, 'machine')} of {plural(figures.data.machines, 'machine')} run. A
            client is on-line that was seen within {lasting(figures.data.online_within_seconds)}.{' '}
            <Link to="/clients/orders?waiting=true">Orders that wait</Link>
          </>
        )
      }
    >
      <WaitingDeletions />
      <Loaded query={figures} what="figures">
        {(f) =>
          f.active + f.revoked === 0 ? (
            <NoClients />
          ) : (
            <>
              <Figures figures={f} filters={filters} />
              <Loaded query={list} what="clients">
                {(page) => (
                  <ClientTable
                    page={page}
                    filters={filters}
                    versions={f.versions}
                    change={change}
                    loading={list.isPlaceholderData}
                    selected={selects(filters)}
                  />
                )}
              </Loaded>
            </>
          )
        }
      </Loaded>
    </ModulePage>
  );
}

/** What to do before there are any clients. */
function NoClients() {
  return (
    <EmptyState titleText="No computer is enrolled yet" headingLevel="h2">
      <EmptyStateBody>
        <Content component="p">
          Make a join token, and enrol each computer with it. Then its users sign in there and get their workspaces.
        </Content>
        <ClipboardCopy isReadOnly variant={ClipboardCopyVariant.expansion} isExpanded hoverTip="Copy" clickTip="Copied">
          {'sudo dormer enrol < token.txt\ndormer sign-in'}
        </ClipboardCopy>
      </EmptyStateBody>
      <EmptyStateFooter>
        <EmptyStateActions>
          <LinkButton to="/settings/join-tokens">Make a join token</LinkButton>
        </EmptyStateActions>
      </EmptyStateFooter>
    </EmptyState>
  );
}
