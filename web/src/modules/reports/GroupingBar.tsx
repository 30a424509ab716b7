import { useDroppable } from '@dnd-kit/core';
import { horizontalListSortingStrategy, SortableContext, useSortable } from '@dnd-kit/sortable';
import { CSS } from '@dnd-kit/utilities';
import { Button, Flex, FlexItem, Label, Panel, PanelMain, PanelMainBody } from '@patternfly/react-core';
import { GripVerticalIcon } from '@patternfly/react-icons/dist/esm/icons/grip-vertical-icon';
import { ChoiceMenu } from './ChoiceMenu';
import { bar, groupID } from './dragging';
import type { Query } from '../../report/query';
import { groupedBy, groups, ungrouped, type Column } from '../../report/table';

interface Props {
  query: Query;
  /** The columns of the report, by which it can be grouped. */
  columns: Column[];
  onChange: (query: Query) => void;
}

/** What a report is grouped by: heads of columns are dragged into it, or chosen from its menu, and ordered there. */
export function GroupingBar({ query, columns, onChange }: Props) {
  const { setNodeRef, isOver } = useDroppable({ id: bar });
  const group = query.group ?? [];
  const titleOf = (name: string) => columns.find((c) => c.name === name)?.title ?? name;
  return (
    <Panel variant={isOver ? 'raised' : 'bordered'} ref={setNodeRef}>
      <PanelMain>
        <PanelMainBody>
          <Flex spaceItems={{ default: 'spaceItemsSm' }} alignItems={{ default: 'alignItemsCenter' }}>
            <FlexItem>
              <ChoiceMenu
                label="Columns to group by"
                choices={columns.filter(groups).map((c) => ({ value: c.name, title: c.title }))}
                chosen={group}
                onToggle={(name) => onChange(group.includes(name) ? ungrouped(query, name) : groupedBy(query, name))}
              >
                Group by
              </ChoiceMenu>
            </FlexItem>
            <SortableContext items={group.map(groupID)} strategy={horizontalListSortingStrategy}>
              {group.map((g) => (
                <Grouped key={g} name={g} title={titleOf(g)} onRemove={() => onChange(ungrouped(query, g))} />
              ))}
            </SortableContext>
            {group.length === 0 && <FlexItem>Drag the head of a column here, or choose.</FlexItem>}
          </Flex>
        </PanelMainBody>
      </PanelMain>
    </Panel>
  );
}

/** One column that is grouped by. */
function Grouped({ name, title, onRemove }: { name: string; title: string; onRemove: () => void }) {
  const { attributes, listeners, setNodeRef, transform, transition } = useSortable({
    id: groupID(name),
    data: { title },
  });
  return (
    <div ref={setNodeRef} style={{ transform: CSS.Translate.toString(transform), transition: transition ?? 'none' }}>
      <Label color="blue" onClose={onRemove} closeBtnAriaLabel={`Do not group by ${title}`}>
        <Button
          variant="plain"
          size="sm"
          hasNoPadding
          icon={<GripVerticalIcon />}
          aria-label={`Move ${title}`}
          {...attributes}
          {...listeners}
        />{' '}
        {title}
      </Label>
    </div>
  );
}
