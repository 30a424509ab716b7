import {
  Button,
  EmptyState,
  EmptyStateBody,
  TextInput,
  Toolbar,
  ToolbarContent,
  ToolbarGroup,
  ToolbarItem,
} from '@patternfly/react-core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { useSearchParams } from 'react-router';
import { api, data } from '../../api/client';
import { useZone } from '../../app/zone';
import { Export } from '../../components/Export';
import { ModulePage } from '../../components/ModulePage';
import { ProblemAlert } from '../../components/ProblemAlert';
import { Records } from '../../components/Records';
import { useLater } from '../../app/later';
import { exportPath, filtersOf, type FilterName } from './filters';
import { Waiting } from '../../components/Waiting';

const pageSize = 100;

/** How long nobody must have typed before the log is asked, in milliseconds. */
const pause = 300;

const inputs: { name: FilterName; label: string; type: 'text' | 'date' }[] = [
  { name: 'who', label: 'Who', type: 'text' },
  { name: 'action', label: 'Action', type: 'text' },
  { name: 'object', label: 'What was changed', type: 'text' },
  { name: 'since', label: 'From', type: 'date' },
  { name: 'until', label: 'Until', type: 'date' },
];

/** Who changed what, newest first. */
export function Audit() {
  const { zone } = useZone();
  const [search, setSearch] = useSearchParams();
  const typed = useMemo(() => filtersOf(search), [search]);
  const filters = useLater(typed, pause);
  const query = useInfiniteQuery({
    queryKey: ['audit', filters, zone],
    initialPageParam: 0,
    queryFn: ({ pageParam }) =>
      data(
        api.GET('/audit', {
          params: {
            query: { ...filters, tz: zone, limit: pageSize, ...(pageParam === 0 ? {} : { before: pageParam }) },
          },
        }),
      ),
    getNextPageParam: (last) => last.next,
    placeholderData: (before) => before,
  });
  const records = query.data?.pages.flatMap((p) => p.items) ?? [];
  const change = (name: FilterName, value: string) =>
    setSearch(
      (was) => {
        const next = new URLSearchParams(was);
        if (value === '') next.delete(name);
        else next.set(name, value);
        return next;
      },
      { replace: true },
    );
  return (
    <ModulePage
      title="Audit"
      says="Every change, who made it and when; and attempts that were refused."
      actions={<Export label="Export all that fit" path={(format) => exportPath(typed, zone, format)} />}
    >
      <Toolbar clearAllFilters={() => setSearch({}, { replace: true })}>
        <ToolbarContent>
          {inputs.map((i) => (
            <ToolbarGroup key={i.name} gap={{ default: 'gapSm' }}>
              {i.type === 'date' && <ToolbarItem variant="label">{i.label}</ToolbarItem>}
              <ToolbarItem>
                <TextInput
                  type={i.type}
                  aria-label={i.label}
                  placeholder={i.label}
                  value={typed[i.name] ?? ''}
                  onChange={(_, v) => change(i.name, v)}
                />
              </ToolbarItem>
            </ToolbarGroup>
          ))}
          {Object.keys(typed).length > 0 && (
            <ToolbarItem>
              <Button variant="link" onClick={() => setSearch({}, { replace: true })}>
                Clear filters
              </Button>
            </ToolbarItem>
          )}
        </ToolbarContent>
      </Toolbar>
      {query.isError && (
        <ProblemAlert
          problem={query.error}
          title="The audit log could not be read"
          retry={() => void query.refetch()}
        />
      )}
      {query.isPending && <Waiting what="the audit log" height="20rem" />}
      {query.isSuccess && records.length === 0 && (
        <EmptyState titleText="Nothing fits" headingLevel="h2">
          <EmptyStateBody>No change is recorded that has all you ask for.</EmptyStateBody>
        </EmptyState>
      )}
      {records.length > 0 && <Records records={records} />}
      {query.hasNextPage && (
        <Button variant="secondary" isLoading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          Show older ones
        </Button>
      )}
    </ModulePage>
  );
}
