import { useSortable } from '@dnd-kit/sortable';
import { CSS } from '@dnd-kit/utilities';
import { Button, Checkbox, HelperText, HelperTextItem } from '@patternfly/react-core';
import { ArrowDownIcon } from '@patternfly/react-icons/dist/esm/icons/arrow-down-icon';
import { ArrowUpIcon } from '@patternfly/react-icons/dist/esm/icons/arrow-up-icon';
import { GripVerticalIcon } from '@patternfly/react-icons/dist/esm/icons/grip-vertical-icon';
import { TrashIcon } from '@patternfly/react-icons/dist/esm/icons/trash-icon';
import { Td, Tr } from '@patternfly/react-table';
import { memo } from 'react';
import { ActionButton } from '../components/ActionButton';
import type { JsonObject } from '../document/json';
import { crumbs } from '../document/reading';
import { inputId } from './form';
import type { ItemColumn, ItemFaults } from './Items';

/** What is done with rows, by their place or their identity. The same object as long as the list is shown. */
export interface RowActions {
  open: (at: number) => void;
  move: (from: number, to: number) => void;
  remove: (at: number) => void;
  choose: (id: string, on: boolean) => void;
}

interface Props {
  /** Identity of the row while it is dragged. */
  id: string;
  at: number;
  isLast: boolean;
  path: string;
  item: JsonObject;
  name: string;
  columns: ItemColumn[];
  /** What is wrong within it; undefined: nothing. */
  faults: ItemFaults | undefined;
  actions: RowActions;
  /** false: the order means nothing, or must not be changed. */
  isMovable: boolean;
  /** Why nothing may be changed; undefined: everything may. */
  readOnly: string | undefined;
  /** Whether it is chosen; absent: rows are not chosen here. */
  chosen: boolean | undefined;
}

/** Of so many faults of an item its row tells. */
const told = 3;

/** One thing of a list: its columns, what is wrong with it, and what can be done. Drawn anew only when they change. */
export const ItemRow = memo(function ItemRow(props: Props) {
  const { id, at, isLast, path, item, name, columns, faults, actions, isMovable, readOnly, chosen } = props;
  const { attributes, listeners, setNodeRef, setActivatorNodeRef, transform, transition, isDragging } = useSortable({
    id,
    disabled: !isMovable || readOnly !== undefined,
  });
  const all = [...(faults?.errors ?? []), ...(faults?.warnings ?? [])];
  const open = () => actions.open(at);
  const verb = readOnly === undefined ? 'Edit' : 'Show';
  return (
    <Tr
      ref={setNodeRef}
      style={{ transform: CSS.Translate.toString(transform), transition, opacity: isDragging ? 0.6 : undefined }}
    >
      {chosen !== undefined && (
        <Td modifier="fitContent">
          <Checkbox
            id={`${inputId(path)}:chosen`}
            aria-label={`Choose ${name}`}
            isChecked={chosen}
            onChange={(_, on) => actions.choose(id, on)}
          />
        </Td>
      )}
      {isMovable && (
        <Td modifier="fitContent" style={{ whiteSpace: 'nowrap' }}>
          {readOnly === undefined ? (
            <Button
              ref={setActivatorNodeRef}
              variant="plain"
              icon={<GripVerticalIcon />}
              {...attributes}
              {...listeners}
              aria-label={`Drag ${name}`}
              style={{ cursor: 'grab', touchAction: 'none' }}
            />
          ) : (
            <ActionButton variant="plain" icon={<GripVerticalIcon />} aria-label={`Drag ${name}`} not={readOnly} />
          )}
          <ActionButton
            variant="plain"
            icon={<ArrowUpIcon />}
            aria-label={`Move ${name} up`}
            not={readOnly}
            isAriaDisabled={at === 0}
            onClick={() => actions.move(at, at - 1)}
          />
          <ActionButton
            variant="plain"
            icon={<ArrowDownIcon />}
            aria-label={`Move ${name} down`}
            not={readOnly}
            isAriaDisabled={isLast}
            onClick={() => actions.move(at, at + 1)}
          />
        </Td>
      )}
      {columns.map((c, i) => (
        <Td key={c.name} dataLabel={c.name} modifier="breakWord">
          {i === 0 ? (
            <>
              <Button variant="link" isInline className="dormer-name" id={inputId(path)} onClick={open}>
                {c.cell(item, path) || 'Not given yet'}
              </Button>
              {all.length > 0 && (
                <HelperText>
                  {all.slice(0, told).map((f) => (
                    <HelperTextItem
                      key={f.path + f.message}
                      variant={faults?.errors.includes(f) === true ? 'error' : 'warning'}
                    >
                      {crumbs(f.path.slice(path.length).replace(/^\./u, ''), item).join(' › ')} {f.message}
                    </HelperTextItem>
                  ))}
                </HelperText>
              )}
            </>
          ) : (
            c.cell(item, path)
          )}
        </Td>
      ))}
      <Td isActionCell style={{ whiteSpace: 'nowrap' }}>
        <Button variant="link" onClick={open} aria-label={`${verb} ${name}`}>
          {verb}
        </Button>
        <ActionButton
          variant="plain"
          icon={<TrashIcon />}
          aria-label={`Remove ${name}`}
          not={readOnly}
          onClick={() => actions.remove(at)}
        />
      </Td>
    </Tr>
  );
});
