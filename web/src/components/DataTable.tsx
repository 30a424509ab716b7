import {
  EmptyState,
  EmptyStateBody,
  MenuToggle,
  Pagination,
  Toolbar,
  ToolbarContent,
  ToolbarGroup,
  ToolbarItem,
} from '@patternfly/react-core';
import EllipsisIcon from '@patternfly/react-icons/dist/esm/icons/ellipsis-v-icon';
import {
  ActionsColumn,
  InnerScrollContainer,
  Table,
  Tbody,
  Td,
  Th,
  Thead,
  Tr,
  type IAction,
} from '@patternfly/react-table';
import { useMemo, useState, type ReactNode } from 'react';
import { useSearchParams } from 'react-router';
import { SearchField } from './SearchField';

/** One column of a table. */
export interface Column<T> {
  name: string;
  cell: (row: T) => ReactNode;
  /** What rows are sorted by when its head is clicked; absent: it cannot be sorted by. */
  sort?: (row: T) => string | number;
}

/** What can be done with a row, and what the row is called. */
type Acting<T> = { actions: (row: T) => IAction[]; name: (row: T) => string } | { actions?: never; name?: never };

type Props<T> = Acting<T> & {
  /** What the table is called for screen readers. */
  label: string;
  columns: Column<T>[];
  rows: T[];
  /** Identity of a row. */
  id: (row: T) => string;
  /** The texts in which the search looks; absent: there is no search. */
  text?: (row: T) => string;
  /** Parameter of the address that keeps the search, so that it can be linked to; absent: it is not kept. */
  searchKey?: string;
  /** Filters and buttons beside the search. */
  tools?: ReactNode;
  /** Shown in place of the table when there are no rows at all. */
  empty: ReactNode;
  /** Column that rows are sorted by at first, and in which direction. */
  sorted?: { column: number; direction: 'asc' | 'desc' };
};

const smallest = 20;
const sizes = [smallest, 50, 100, 500].map((value) => ({ title: String(value), value }));
const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });
const byValue = (a: string | number, b: string | number) =>
  typeof a === 'number' && typeof b === 'number' ? a - b : collator.compare(String(a), String(b));

const withParameter = (all: URLSearchParams, key: string, value: string): URLSearchParams => {
  if (value === '') all.delete(key);
  else all.set(key, value);
  return all;
};

/** A table of what is all here: searched, sorted and turned over in the browser. Thousands of rows are fine. */
export function DataTable<T>({
  label,
  columns,
  rows,
  id,
  text,
  searchKey,
  actions,
  name,
  tools,
  empty,
  sorted,
}: Props<T>) {
  const [params, setParams] = useSearchParams();
  const [typed, setTyped] = useState('');
  const search = searchKey === undefined ? typed : (params.get(searchKey) ?? '');
  const setSearch = (wanted: string) => {
    if (searchKey === undefined) setTyped(wanted);
    else setParams((all) => withParameter(all, searchKey, wanted), { replace: true });
  };
  const [order, setOrder] = useState(sorted ?? { column: 0, direction: 'asc' as const });
  const [page, setPage] = useState(1);
  const [size, setSize] = useState(50);

  const found = useMemo(() => {
    const wanted = search.trim().toLocaleLowerCase();
    const left = wanted === '' || !text ? rows : rows.filter((r) => text(r).toLocaleLowerCase().includes(wanted));
    const by = columns[order.column]?.sort;
    if (!by) return left;
    const sign = order.direction === 'asc' ? 1 : -1;
    return left.toSorted((a, b) => sign * byValue(by(a), by(b)));
  }, [rows, search, text, columns, order]);

  if (rows.length === 0) return <>{empty}</>;
  const pages = Math.max(1, Math.ceil(found.length / size));
  const current = Math.min(page, pages);
  const shown = found.slice((current - 1) * size, current * size);
  const pagination = (isCompact: boolean) => (
    <Pagination
      itemCount={found.length}
      page={current}
      perPage={size}
      perPageOptions={sizes}
      onSetPage={(_, p) => setPage(p)}
      onPerPageSelect={(_, s) => {
        setSize(s);
        setPage(1);
      }}
      isCompact={isCompact}
      titles={{ paginationAriaLabel: `Pages of ${label}` }}
    />
  );
  return (
    <>
      <Toolbar>
        <ToolbarContent>
          {text && (
            <SearchField
              of={label}
              value={search}
              onChange={(wanted) => {
                setSearch(wanted);
                setPage(1);
              }}
            />
          )}
          {tools !== undefined && <ToolbarGroup>{tools}</ToolbarGroup>}
          {found.length > size && <ToolbarItem align={{ default: 'alignEnd' }}>{pagination(true)}</ToolbarItem>}
        </ToolbarContent>
      </Toolbar>
      <InnerScrollContainer>
        <Table aria-label={label} variant="compact">
          <Thead>
            <Tr>
              {columns.map((c, i) => (
                <Th
                  key={c.name}
                  modifier="nowrap"
                  sort={
                    c.sort && {
                      columnIndex: i,
                      sortBy: { index: order.column, direction: order.direction },
                      onSort: (_, column, direction) => setOrder({ column, direction }),
                    }
                  }
                >
                  {c.name}
                </Th>
              ))}
              {actions && <Th screenReaderText="Actions" />}
            </Tr>
          </Thead>
          <Tbody>
            {shown.map((row) => (
              <Tr key={id(row)}>
                {columns.map((c) => (
                  <Td key={c.name} dataLabel={c.name} modifier="breakWord">
                    <div>{c.cell(row)}</div>
                  </Td>
                ))}
                {actions && (
                  <Td isActionCell>
                    <RowMenu name={name(row)} items={actions(row)} />
                  </Td>
                )}
              </Tr>
            ))}
          </Tbody>
        </Table>
      </InnerScrollContainer>
      {found.length === 0 && (
        <EmptyState titleText="Nothing fits" headingLevel="h2">
          <EmptyStateBody>No row has what you search for.</EmptyStateBody>
        </EmptyState>
      )}
      {found.length > smallest && pagination(false)}
    </>
  );
}

/** The menu of a row. */
function RowMenu({ name, items }: { name: string; items: IAction[] }) {
  if (items.length === 0) return null;
  return (
    <ActionsColumn
      items={items}
      actionsToggle={({ onToggle, isOpen, isDisabled, toggleRef }) => (
        <MenuToggle
          ref={toggleRef}
          aria-label={`Actions of ${name}`}
          variant="plain"
          icon={<EllipsisIcon />}
          onClick={onToggle}
          isExpanded={isOpen}
          isDisabled={isDisabled}
        />
      )}
    />
  );
}
