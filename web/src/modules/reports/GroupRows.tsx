import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';
import { Link } from 'react-router';
import { Loaded } from '../../components/Loaded';
import { Cell } from './Cell';
import { reportLink } from '../../report/link';
import type { Kind, Query } from '../../report/query';
import { keyOf, shown } from '../../report/table';
import { useReport } from '../../report/useReport';

/** How many rows a group opens into, before it is gone to. */
const first = 10;

/** The first rows that a group stands for, and the way to all of them. */
export function GroupRows({ kind, query }: { kind: Kind; query: Query }) {
  const page = useReport(kind, query, { limit: first });
  return (
    <Loaded query={page} what="rows">
      {({ columns, items, next }) => {
        const visible = shown(columns, query).filter((c) => !(c.name in (query.equal ?? {})));
        return (
          <>
            <Table aria-label="Rows of the group" variant="compact" borders={false}>
              <Thead>
                <Tr>
                  {visible.map((c) => (
                    <Th key={c.name}>{c.title}</Th>
                  ))}
                </Tr>
              </Thead>
              <Tbody>
                {items.map((row) => (
                  <Tr key={keyOf(kind, query, row)}>
                    {visible.map((c) => (
                      <Td key={c.name} dataLabel={c.title} modifier="breakWord">
                        <Cell column={c} row={row} />
                      </Td>
                    ))}
                  </Tr>
                ))}
              </Tbody>
            </Table>
            <Link to={reportLink(kind, query)}>
              {next === undefined ? 'Show these rows alone' : 'There are more: show all'}
            </Link>
          </>
        );
      }}
    </Loaded>
  );
}
