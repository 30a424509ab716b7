import { useSortable } from '@dnd-kit/sortable';
import { CSS } from '@dnd-kit/utilities';
import { Button, HelperText, HelperTextItem } from '@patternfly/react-core';
import { ArrowDownIcon } from '@patternfly/react-icons/dist/esm/icons/arrow-down-icon';
import { ArrowUpIcon } from '@patternfly/react-icons/dist/esm/icons/arrow-up-icon';
import { GripVerticalIcon } from '@patternfly/react-icons/dist/esm/icons/grip-vertical-icon';
import { TrashIcon } from '@patternfly/react-icons/dist/esm/icons/trash-icon';
import { Td, Tr } from '@patternfly/react-table';
import type { FieldError } from '../api/problem';
import type { JsonObject } from '../document/json';
import { isBelow } from '../document/paths';
import { inputId, useForm } from './form';
import type { ItemColumn } from './Items';

interface Props {
  /** Identity of the row while it is dragged. */
  id: string;
  at: number;
  count: number;
  path: string;
  item: JsonObject;
  name: string;
  columns: ItemColumn[];
  onOpen: () => void;
  /** Moves it within the list; absent: the order means nothing, or must not be changed. */
  onMove: ((from: number, to: number) => void) | undefined;
  onRemove: (() => void) | undefined;
  /** Whether it is chosen; absent: rows are not chosen here. */
  chosen: boolean | undefined;
  onChoose: (on: boolean) => void;
}

/** One thing of a list: its columns, what is wrong with it, and what can be done. */
export function ItemRow(props: Props) {
  const { id, at, count, path, item, name, columns, onOpen, onMove, onRemove, chosen, onChoose } = props;
  const { errors, warnings, readOnly } = useForm();
  const { attributes, listeners, setNodeRef, setActivatorNodeRef, transform, transition, isDragging } = useSortable({
    id,
    disabled: onMove === undefined,
  });
  const within = (f: FieldError) => isBelow(f.path, path);
  const faults = [...errors.filter(within), ...warnings.filter(within)];
  return (
    <Tr
      ref={setNodeRef}
      style={{ transform: CSS.Translate.toString(transform), transition, opacity: isDragging ? 0.6 : undefined }}
    >
      {chosen !== undefined && (
        <Td
          select={{ rowIndex: at, isSelected: chosen, onSelect: (_, on) => onChoose(on) }}
          aria-label={`Choose ${name}`}
        />
      )}
      {onMove && (
        <Td modifier="fitContent" style={{ whiteSpace: 'nowrap' }}>
          <Button
            ref={setActivatorNodeRef}
            variant="plain"
            icon={<GripVerticalIcon />}
            {...attributes}
            {...listeners}
            aria-label={`Drag ${name}`}
            style={{ cursor: 'grab', touchAction: 'none' }}
          />
          <Button
            variant="plain"
            icon={<ArrowUpIcon />}
            aria-label={`Move ${name} up`}
            isAriaDisabled={at === 0}
            onClick={() => onMove(at, at - 1)}
          />
          <Button
            variant="plain"
            icon={<ArrowDownIcon />}
            aria-label={`Move ${name} down`}
            isAriaDisabled={at === count - 1}
            onClick={() => onMove(at, at + 1)}
          />
        </Td>
      )}
      {columns.map((c, i) => (
        <Td key={c.name} dataLabel={c.name} modifier="breakWord">
          {i === 0 ? (
            <>
              <Button variant="link" isInline className="dormer-name" id={inputId(path)} onClick={onOpen}>
                {c.cell(item, path)}
              </Button>
              {faults.length > 0 && (
                <HelperText>
                  {faults.slice(0, 3).map((f) => (
                    <HelperTextItem key={f.path + f.message} variant={errors.includes(f) ? 'error' : 'warning'}>
                      {f.path.slice(path.length).replace(/^\./u, '')} {f.message}
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
        <Button variant="link" onClick={onOpen} aria-label={`${readOnly === undefined ? 'Edit' : 'Show'} ${name}`}>
          {readOnly === undefined ? 'Edit' : 'Show'}
        </Button>
        {onRemove && <Button variant="plain" icon={<TrashIcon />} aria-label={`Remove ${name}`} onClick={onRemove} />}
      </Td>
    </Tr>
  );
}
