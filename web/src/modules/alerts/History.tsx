import { Button, EmptyState, EmptyStateBody } from '@patternfly/react-core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { api, data } from '../../api/client';
import { ProblemAlert } from '../../components/ProblemAlert';
import { AlertTable } from './AlertTable';
import { Waiting } from '../../components/Waiting';

const pageSize = 100;

/** All alerts that were raised, newest first, for as long as events are kept. */
export function History() {
  const query = useInfiniteQuery({
    queryKey: ['alert', 'all'],
    initialPageParam: 0,
    queryFn: ({ pageParam }) =>
      data(
        api.GET('/alerts', {
          params: { query: { all: true, limit: pageSize, ...(pageParam === 0 ? {} : { before: pageParam }) } },
        }),
      ),
    getNextPageParam: (last) => last.next,
  });
  const alerts = query.data?.pages.flatMap((p) => p.items) ?? [];
  return (
    <>
      {query.isError && (
        <ProblemAlert problem={query.error} title="The alerts could not be listed" retry={() => void query.refetch()} />
      )}
      {query.isPending && <Waiting what="the alerts" />}
      {query.isSuccess && alerts.length === 0 && (
        <EmptyState titleText="No alert was raised yet" headingLevel="h2">
          <EmptyStateBody>When the condition of a rule holds, its alert stands here, and stays.</EmptyStateBody>
        </EmptyState>
      )}
      {alerts.length > 0 && <AlertTable label="All alerts" alerts={alerts} />}
      {query.hasNextPage && (
        <Button variant="link" isLoading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          Show older ones
        </Button>
      )}
    </>
  );
}
