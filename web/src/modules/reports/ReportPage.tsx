import { DndContext, KeyboardSensor, PointerSensor, useSensor, useSensors, type DragEndEvent } from '@dnd-kit/core';
import { sortableKeyboardCoordinates } from '@dnd-kit/sortable';
import {
  Button,
  EmptyState,
  EmptyStateBody,
  ExpandableSection,
  Flex,
  FlexItem,
  Label,
  LabelGroup,
  Stack,
  Switch,
} from '@patternfly/react-core';
import { InnerScrollContainer, OuterScrollContainer } from '@patternfly/react-table';
import { SyncAltIcon } from '@patternfly/react-icons/dist/esm/icons/sync-alt-icon';
import { useMemo, useState } from 'react';
import { useSearchParams } from 'react-router';
import { asProblem } from '../../api/problem';
import { ActionButton } from '../../components/ActionButton';
import { useAnnouncements } from '../../form/dragging';
import { ProblemAlert } from '../../components/ProblemAlert';
import { ColumnsMenu } from './ColumnsMenu';
import { columnOf, groupID, nearest, sayings } from './dragging';
import { ExportMenu } from './ExportMenu';
import { GroupingBar } from './GroupingBar';
import { Pages, usePlace } from './Pages';
import { Parameters, said } from './Parameters';
import { parameters, queryOf, type Kind, type Query } from '../../report/query';
import { Rows } from './Rows';
import { SaveDialog } from './SaveDialog';
import { filters, groupedBy, shown, summaries, timeOf, type Column } from '../../report/table';
import { useReport } from '../../report/useReport';
import { Waiting } from '../../components/Waiting';

/** One kind of report: what narrows it, what it is grouped by, and its rows. All of it stands in the address. */
export function ReportPage({ kind }: { kind: Kind }) {
  const [search, setSearch] = useSearchParams();
  const query = useMemo(() => queryOf(search), [search]);
  const place = usePlace();
  const live = search.has('live');
  const report = useReport(kind, query, { ...place, live });
  const [saving, setSaving] = useState(false);
  const [known, setKnown] = useState<Column[]>([]);
  const page = report.data;
  if (page && query.group === undefined && known !== page.columns && !report.isPlaceholderData) setKnown(page.columns);
  // A report that was grouped from the first has not told all of its columns yet.
  const others = useReport(kind, {}, { limit: 1 });
  const columns = known.length > 0 ? known : (others.data?.columns ?? []);

  const change = (next: Query) =>
    setSearch((was) => {
      const to = parameters(next);
      for (const kept of ['live', 'limit']) {
        const value = was.get(kept);
        if (value !== null) to.set(kept, value);
      }
      return to;
    });
  const sensors = useSensors(
    useSensor(PointerSensor, { activationConstraint: { distance: 8 } }),
    useSensor(KeyboardSensor, { coordinateGetter: sortableKeyboardCoordinates }),
  );
  const group = query.group ?? [];
  const { called, place: placeOf } = sayings(columns, group);
  const spoken = useAnnouncements(called, placeOf);
  const dropped = ({ active, over }: DragEndEvent) => {
    if (!over) return;
    const name = columnOf(active.id);
    if (name === undefined || over.id === groupID(name)) return;
    const beside = group.indexOf(columnOf(over.id) ?? '');
    const at = beside < 0 ? group.length : beside;
    change(groupedBy(query, name, at));
  };

  const problem = report.isError ? asProblem(report.error) : undefined;
  const on = filters(query, (name) => columns.find((c) => c.name === name)?.title ?? name);
  // Until others come, the rows are those of the query before, and shown as such.
  const answered: Query = {
    ...(page?.query ?? query),
    ...(query.columns === undefined ? {} : { columns: query.columns }),
  };
  const visible = page ? shown(page.columns, answered) : [];
  return (
    <DndContext
      sensors={sensors}
      collisionDetection={nearest}
      accessibility={{ announcements: spoken }}
      onDragEnd={dropped}
    >
      <Stack hasGutter>
        <p>{summaries[kind]}</p>
        <ExpandableSection toggleText={`Filters: ${timeOf(query)}`} isIndented>
          <Parameters
            key={`${kind} ${search.toString()}`}
            kind={kind}
            query={query}
            faults={problem?.fields ?? []}
            onShow={(next) => change(next)}
          />
        </ExpandableSection>
        <Flex>
          <FlexItem>
            <Button
              variant="secondary"
              icon={<SyncAltIcon />}
              isLoading={report.isFetching && !live}
              onClick={() => void report.refetch()}
            >
              Refresh
            </Button>
          </FlexItem>
          <FlexItem>
            <Switch
              label="Live"
              isChecked={live}
              onChange={(_, checked) =>
                setSearch(
                  (was) => {
                    const to = new URLSearchParams(was);
                    if (checked) to.set('live', 'yes');
                    else to.delete('live');
                    return to;
                  },
                  { replace: true },
                )
              }
            />
          </FlexItem>
          <FlexItem>
            <ColumnsMenu query={query} columns={columns} onChange={change} />
          </FlexItem>
          <FlexItem>
            <ExportMenu kind={kind} query={query} />
          </FlexItem>
          <FlexItem>
            <ActionButton variant="secondary" onClick={() => setSaving(true)}>
              Save
            </ActionButton>
          </FlexItem>
        </Flex>
        {on.length > 0 && (
          <LabelGroup categoryName="Only" numLabels={20}>
            {on.map((f) => (
              <Label
                key={f.name}
                variant="outline"
                onClose={() => change(f.without)}
                closeBtnAriaLabel={`Without ${f.name}`}
              >
                <span className="dormer-name">
                  {f.name}: {f.value}
                </span>
              </Label>
            ))}
          </LabelGroup>
        )}
        <GroupingBar query={query} columns={columns} onChange={change} />
        {problem && (
          <ProblemAlert
            problem={problem}
            title={page && !report.isPlaceholderData ? 'The report is old: it could not be made again' : undefined}
            retry={() => void report.refetch()}
            said={said.filter((s) => s !== 'days' && s !== 'instances')}
          />
        )}
        {!page && !problem && <Waiting what="the report" height="20rem" />}
        {page && page.items.length === 0 && (
          <EmptyState titleText="Nothing fits" headingLevel="h2">
            <EmptyStateBody>
              {on.length > 0
                ? 'No row has all that you filter by in this time. Take a filter away, or look further back.'
                : 'There is nothing in this time. Look further back in the filters; rows come once clients are connected.'}
            </EmptyStateBody>
          </EmptyState>
        )}
        {page && page.items.length > 0 && (
          <OuterScrollContainer>
            <InnerScrollContainer aria-busy={report.isPlaceholderData}>
              <Rows
                kind={kind}
                query={answered}
                columns={page.columns}
                visible={visible}
                rows={page.items}
                onSort={(sort) => change({ ...query, sort })}
              />
            </InnerScrollContainer>
          </OuterScrollContainer>
        )}
        {page && <Pages rows={page.items.length} next={report.isPlaceholderData ? undefined : page.next} />}
      </Stack>
      {saving && <SaveDialog kind={kind} query={query} onClose={() => setSaving(false)} />}
    </DndContext>
  );
}
