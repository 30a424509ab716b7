import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';
import { Link } from 'react-router';
import type { Schemas } from '../api/client';
import { Time } from './format';
import { objectOf } from './auditObject';

type AuditRecord = Schemas['AuditRecord'];

/** Records of the audit log as a table. */
export function Records({ records }: { records: AuditRecord[] }) {
  return (
    <Table aria-label="Changes" variant="compact">
      <Thead>
        <Tr>
          {['Time', 'Who', 'Action', 'What', 'Detail', 'From'].map((h) => (
            <Th key={h}>{h}</Th>
          ))}
        </Tr>
      </Thead>
      <Tbody>
        {records.map((r) => (
          <Tr key={r.id}>
            <Td dataLabel="Time" modifier="nowrap">
              <Time at={r.time} />
            </Td>
            <Td dataLabel="Who" modifier="breakWord">
              <span className="dormer-name">{r.who}</span>
            </Td>
            <Td dataLabel="Action">
              <code>{r.action}</code>
            </Td>
            <Td dataLabel="What" modifier="breakWord">
              <What record={r} />
            </Td>
            <Td dataLabel="Detail" modifier="breakWord">
              <span className="dormer-name">{r.detail}</span>
            </Td>
            <Td dataLabel="From">{r.remote}</Td>
          </Tr>
        ))}
      </Tbody>
    </Table>
  );
}

function What({ record }: { record: AuditRecord }) {
  const { name, page } = objectOf(record.action, record.object ?? '');
  if (page === undefined) return <span className="dormer-name">{name}</span>;
  return (
    <Link to={page} className="dormer-name">
      {name}
    </Link>
  );
}
