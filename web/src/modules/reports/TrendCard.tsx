import {
  Card,
  CardBody,
  CardHeader,
  CardTitle,
  EmptyState,
  EmptyStateBody,
  Flex,
  FlexItem,
  ToggleGroup,
  ToggleGroupItem,
} from '@patternfly/react-core';
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table';
import { useState } from 'react';
import { Link } from 'react-router';
import { count } from '../../components/format';
import { Chart } from './Chart';
import type { Figures } from './series';

interface Props {
  title: string;
  figures: Figures;
  shape: 'bars' | 'areas';
  /** What one will see here, when there is nothing yet. */
  empty: string;
}

/** One trend: as a chart, or as a table with the same figures, which lead to their rows or stand beside their events. */
export function TrendCard({ title, figures, shape, empty }: Props) {
  const [table, setTable] = useState(false);
  const nothing = figures.series.every((s) => s.values.every((v) => v === null || v === 0));
  return (
    <Card>
      <CardHeader
        actions={{
          hasNoOffset: true,
          actions: (
            <ToggleGroup aria-label={`${title} as`} isCompact>
              <ToggleGroupItem text="Chart" isSelected={!table} onChange={() => setTable(false)} />
              <ToggleGroupItem text="Table" isSelected={table} onChange={() => setTable(true)} />
            </ToggleGroup>
          ),
        }}
      >
        <CardTitle component="h2">{title}</CardTitle>
      </CardHeader>
      <CardBody>
        {nothing && (
          <EmptyState titleText="Nothing yet" headingLevel="h3" variant="xs">
            <EmptyStateBody>{empty}</EmptyStateBody>
          </EmptyState>
        )}
        {!nothing && !table && (
          <>
            <Chart label={`${title}; the table has the same figures`} figures={figures} shape={shape} />
            <Legend figures={figures} />
          </>
        )}
        {!nothing && table && <FiguresTable title={title} figures={figures} />}
      </CardBody>
    </Card>
  );
}

/** Which colour is what; each leads to the rows of the last point. */
function Legend({ figures: { series, points } }: { figures: Figures }) {
  return (
    <Flex role="list" aria-label="What is drawn">
      {series.map((s) => (
        <FlexItem key={s.name} role="listitem">
          <svg width="12" height="12" aria-hidden="true">
            <rect width="12" height="12" style={{ fill: s.color }} />
          </svg>{' '}
          <Link className="dormer-name" to={s.link(points.length - 1)}>
            {s.name}
          </Link>
        </FlexItem>
      ))}
    </Flex>
  );
}

function FiguresTable({
  title,
  figures: { points, series, shown = count, events },
}: {
  title: string;
  figures: Figures;
}) {
  return (
    <Table aria-label={title} variant="compact">
      <Thead>
        <Tr>
          <Th>Time</Th>
          {series.map((s) => (
            <Th key={s.name} modifier="breakWord">
              {s.name}
            </Th>
          ))}
          {events && <Th>Events</Th>}
        </Tr>
      </Thead>
      <Tbody>
        {points
          .map((point, i) => (
            <Tr key={point}>
              <Td dataLabel="Time">{point}</Td>
              {series.map((s) => {
                const value = s.values[i] ?? null;
                return (
                  <Td key={s.name} dataLabel={s.name}>
                    {value === null ? 'unknown' : events ? shown(value) : <Link to={s.link(i)}>{shown(value)}</Link>}
                  </Td>
                );
              })}
              {events && (
                <Td dataLabel="Events">
                  <Link to={events(i)} aria-label={`Events of ${point}`}>
                    Events
                  </Link>
                </Td>
              )}
            </Tr>
          ))
          .toReversed()}
      </Tbody>
    </Table>
  );
}
