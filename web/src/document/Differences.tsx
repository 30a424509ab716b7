import { EmptyState, EmptyStateBody, Label } from '@patternfly/react-core';
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';
import { useMemo } from 'react';
import { changes, type Change } from './difference';
import { FieldLabel } from './FieldLabel';
import type { Json } from './json';
import { Value } from './Value';

interface Props {
  before: Json;
  after: Json;
  /** What the two documents are called, the earlier one first. */
  names: [string, string];
}

/** What is not the same in two documents, side by side and field by field; below each other where there is little room. */
export function Differences({ before, after, names }: Props) {
  const found = useMemo(() => changes(before, after), [before, after]);
  if (found.length === 0) {
    return (
      <EmptyState titleText="Nothing differs" headingLevel="h3" variant="xs">
        <EmptyStateBody>Both say the same in every field.</EmptyStateBody>
      </EmptyState>
    );
  }
  return (
    <Table aria-label={`Differences: ${names[0]} and ${names[1]}`} variant="compact" gridBreakPoint="grid-md">
      <Thead>
        <Tr>
          <Th width={25}>Field</Th>
          <Th modifier="fitContent">Change</Th>
          <Th width={35}>{names[0]}</Th>
          <Th width={35}>{names[1]}</Th>
        </Tr>
      </Thead>
      <Tbody>
        {found.map((c) => (
          <Tr key={`${c.path} ${said(c)}`}>
            <Td dataLabel="Field">
              <FieldLabel path={c.path} document={c.after === undefined ? before : after} />
            </Td>
            <Td dataLabel="Change">
              <Label isCompact color={colours[said(c)]}>
                {said(c)}
              </Label>
            </Td>
            <Td dataLabel={names[0]} modifier="breakWord">
              <Value value={c.before} />
            </Td>
            <Td dataLabel={names[1]} modifier="breakWord">
              <Value value={c.after} />
            </Td>
          </Tr>
        ))}
      </Tbody>
    </Table>
  );
}

const colours = { added: 'green', removed: 'red', moved: 'purple', changed: 'blue' } as const;

function said(c: Change): keyof typeof colours {
  if (c.order) return 'moved';
  if (c.before === undefined) return 'added';
  return c.after === undefined ? 'removed' : 'changed';
}
