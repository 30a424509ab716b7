import {
  DescriptionList,
  DescriptionListDescription,
  DescriptionListGroup,
  DescriptionListTerm,
} from '@patternfly/react-core';
import { ExpandableRowContent, Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';
import { useState } from 'react';
import { Link } from 'react-router';
import { Cell } from './Cell';
import { ColumnHead } from './ColumnHead';
import { useEventKinds } from '../../report/eventKinds';
import { GroupRows } from './GroupRows';
import { reportLink } from '../../report/link';
import type { Kind, Query } from '../../report/query';
import { keyOf, orderOf, rowsOf, textOf, type Column, type Row } from '../../report/table';

interface Props {
  kind: Kind;
  query: Query;
  /** All columns that the rows have, and those that are shown. */
  columns: Column[];
  visible: Column[];
  rows: Row[];
  onSort: (sort: string) => void;
}

/** The rows of a report. Each opens: a group into the rows it stands for, any other into all that is known of it. */
export function Rows({ kind, query, columns, visible, rows, onSort }: Props) {
  const order = orderOf(kind, query);
  const index = visible.findIndex((c) => c.name === order.column);
  return (
    <Table aria-label="Rows of the report" variant="compact" isExpandable>
      <Thead>
        <Tr>
          <Th screenReaderText="More" />
          {visible.map((c, i) => (
            <ColumnHead
              key={c.name}
              column={c}
              drags={query.group === undefined && c.name !== 'count'}
              sort={{
                columnIndex: i,
                sortBy: {
                  index,
                  direction: order.descending ? 'desc' : 'asc',
                  defaultDirection: c.type === 'time' || c.type === 'number' ? 'desc' : 'asc',
                },
                onSort: (_, __, direction) => onSort(direction === 'desc' ? `-${c.name}` : c.name),
              }}
            />
          ))}
        </Tr>
      </Thead>
      {rows.map((row, i) => (
        <OneRow
          key={keyOf(kind, query, row)}
          number={i}
          kind={kind}
          query={query}
          columns={columns}
          visible={visible}
          row={row}
        />
      ))}
    </Table>
  );
}

interface RowProps extends Omit<Props, 'rows' | 'onSort'> {
  row: Row;
  /** Its place on the page. */
  number: number;
}

function OneRow({ kind, query, columns, visible, row, number }: RowProps) {
  const [open, setOpen] = useState(false);
  const grouped = query.group !== undefined;
  return (
    <Tbody isExpanded={open}>
      <Tr isContentExpanded={open}>
        <Td
          expand={{
            rowIndex: number,
            isExpanded: open,
            onToggle: () => setOpen(!open),
            expandId: 'report-row-',
          }}
        />
        {visible.map((c) => (
          <Td key={c.name} dataLabel={c.title} modifier={c.type === 'time' ? 'nowrap' : 'breakWord'}>
            {grouped && c.name === 'count' ? (
              <Link to={reportLink(kind, rowsOf(query, row))}>
                <Cell column={c} row={row} />
              </Link>
            ) : (
              <Cell column={c} row={row} words={grouped} />
            )}
          </Td>
        ))}
      </Tr>
      {open && (
        <Tr isExpanded>
          <Td colSpan={visible.length + 1} noPadding={grouped}>
            <ExpandableRowContent>
              {grouped ? <GroupRows kind={kind} query={rowsOf(query, row)} /> : <AllOf columns={columns} row={row} />}
            </ExpandableRowContent>
          </Td>
        </Tr>
      )}
    </Tbody>
  );
}

/** All that a report knows of one row. */
function AllOf({ columns, row }: { columns: Column[]; row: Row }) {
  const code = row['code'];
  const kind = useEventKinds().find((k) => k.code === code);
  return (
    <DescriptionList isCompact columnModifier={{ default: '1Col', md: '2Col', xl: '3Col' }}>
      {kind && (
        <DescriptionListGroup>
          <DescriptionListTerm>What it means</DescriptionListTerm>
          <DescriptionListDescription>{kind.meaning}</DescriptionListDescription>
        </DescriptionListGroup>
      )}
      {kind?.action !== undefined && (
        <DescriptionListGroup>
          <DescriptionListTerm>What to do</DescriptionListTerm>
          <DescriptionListDescription>{kind.action}</DescriptionListDescription>
        </DescriptionListGroup>
      )}
      {columns
        .filter((c) => textOf(row[c.name]) !== '')
        .map((c) => (
          <DescriptionListGroup key={c.name}>
            <DescriptionListTerm>{c.title}</DescriptionListTerm>
            <DescriptionListDescription>
              <Cell column={c} row={row} />
            </DescriptionListDescription>
          </DescriptionListGroup>
        ))}
    </DescriptionList>
  );
}
