import {
  EmptyState,
  EmptyStateActions,
  EmptyStateBody,
  EmptyStateFooter,
  FormSelect,
  FormSelectOption,
  Pagination,
  Toolbar,
  ToolbarContent,
  ToolbarItem,
} from '@patternfly/react-core';
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';
import { useEffect, useState, type ReactNode } from 'react';
import { Link } from 'react-router';
import type { Schemas } from '../../api/client';
import { LinkButton } from '../../components/LinkButton';
import { SearchField } from '../../components/SearchField';
import { ago, bytes, count } from '../../components/format';
import { parametersOf, sizes, type Filters } from './filters';
import { StateLabel } from './StateLabel';

type Client = Schemas['Client'];

interface Column {
  name: string;
  /** What the server sorts by; absent: it cannot be sorted by. */
  sort?: string;
  cell: (c: Client) => ReactNode;
}

const columns: Column[] = [
  {
    name: 'Host',
    sort: 'host',
    cell: (c) => (
      <Link className="dormer-name" to={`/clients/${c.id}`}>
        {c.host.name}
      </Link>
    ),
  },
  { name: 'State', cell: (c) => <StateLabel client={c} /> },
  {
    name: 'Last seen',
    sort: 'last-seen',
    cell: (c) => (c.last_seen === undefined ? 'never' : <time dateTime={c.last_seen}>{ago(c.last_seen)}</time>),
  },
  {
    name: 'Machines',
    cell: (c) => (
      <Link to={`/clients/${c.id}`}>
        {c.running} of {count(c.machines)} run
      </Link>
    ),
  },
  {
    name: 'Agent',
    sort: 'version',
    cell: (c) => (
      <>
        <span className="dormer-name">{c.agent_version}</span>
        {!c.managed && ' (unmanaged)'}
      </>
    ),
  },
  {
    name: 'Disk free',
    sort: 'disk-free',
    cell: (c) => (c.host.disk_free === undefined ? 'not known' : bytes(c.host.disk_free)),
  },
  { name: 'System', cell: (c) => `${c.host.os}/${c.host.arch}` },
];

interface Props {
  page: Schemas['ClientList'];
  filters: Filters;
  versions: Schemas['VersionCount'][];
  change: (next: Partial<Filters>) => void;
  /** What is shown is of other filters, until the answer is there. */
  loading: boolean;
  /** Whether the filters leave something out. */
  selected: boolean;
}

/** How long after a key the search is asked for, in milliseconds. */
const pause = 300;

/** One page of the list of clients, which the server selects and sorts: there may be 100,000. */
export function ClientTable({ page, filters, versions, change, loading, selected }: Props) {
  const [typed, setTyped] = useState(filters.search);
  const [asked, setAsked] = useState(filters.search);
  if (asked !== filters.search) {
    // The address was changed by something else: a link, or the way back.
    setAsked(filters.search);
    setTyped(filters.search);
  }
  useEffect(() => {
    if (typed === filters.search) return undefined;
    const timer = setTimeout(() => {
      setAsked(typed);
      change({ search: typed });
    }, pause);
    return () => clearTimeout(timer);
  }, [typed, filters.search, change]);
  const sortIndex = columns.findIndex((c) => c.sort === filters.sort);
  const pagination = (isCompact: boolean) => (
    <Pagination
      itemCount={page.total}
      page={filters.page}
      perPage={filters.size}
      perPageOptions={sizes.map((value) => ({ title: String(value), value }))}
      onSetPage={(_, p) => change({ page: p })}
      onPerPageSelect={(_, size) => change({ size })}
      isCompact={isCompact}
      titles={{ paginationAriaLabel: isCompact ? 'Pages of clients' : 'Pages of clients, below' }}
    />
  );
  return (
    <>
      <Toolbar>
        <ToolbarContent>
          <SearchField of="clients" placeholder="Host, user or identity" value={typed} onChange={setTyped} />
          <ToolbarItem>
            <FormSelect
              aria-label="Version of the agent"
              value={filters.version}
              onChange={(_, version) => change({ version })}
            >
              <FormSelectOption value="" label="Any version of the agent" />
              {versions.map((v) => (
                <FormSelectOption key={v.version} value={v.version} label={`${v.version} (${count(v.clients)})`} />
              ))}
            </FormSelect>
          </ToolbarItem>
          <ToolbarItem align={{ default: 'alignEnd' }}>{pagination(true)}</ToolbarItem>
        </ToolbarContent>
      </Toolbar>
      <Table aria-label="Clients" variant="compact" aria-busy={loading}>
        <Thead>
          <Tr>
            {columns.map((c, i) => (
              <Th
                key={c.name}
                modifier="nowrap"
                sort={
                  c.sort === undefined
                    ? undefined
                    : {
                        columnIndex: i,
                        sortBy: { index: sortIndex, direction: filters.descending ? 'desc' : 'asc' },
                        onSort: (_, index, direction) =>
                          change({ sort: columns[index]?.sort ?? 'host', descending: direction === 'desc' }),
                      }
                }
              >
                {c.name}
              </Th>
            ))}
          </Tr>
        </Thead>
        <Tbody>
          {page.items.map((row) => (
            <Tr key={row.id}>
              {columns.map((c) => (
                <Td key={c.name} dataLabel={c.name} modifier="breakWord">
                  <div>{c.cell(row)}</div>
                </Td>
              ))}
            </Tr>
          ))}
        </Tbody>
      </Table>
      {page.items.length === 0 && (
        <EmptyState titleText="No client fits" headingLevel="h2">
          <EmptyStateBody>
            {page.total > 0 ? 'This page of the list is beyond its end.' : 'None is as the filters say.'}
          </EmptyStateBody>
          {(selected || filters.page > 1) && (
            <EmptyStateFooter>
              <EmptyStateActions>
                <LinkButton
                  variant="link"
                  to={`?${parametersOf({ ...filters, search: '', state: 'active', version: '', page: 1 }).toString()}`}
                >
                  Show all clients
                </LinkButton>
              </EmptyStateActions>
            </EmptyStateFooter>
          )}
        </EmptyState>
      )}
      {page.items.length > 20 && pagination(false)}
    </>
  );
}
