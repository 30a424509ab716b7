import { useDraggable } from '@dnd-kit/core';
import { Th, type ThProps } from '@patternfly/react-table';
import { useEffect, useRef } from 'react';
import { headID } from './dragging';
import type { Column } from '../../report/table';

interface Props {
  column: Column;
  /** Whether it can be dragged into the grouping bar. */
  drags: boolean;
  sort: ThProps['sort'];
}

/**
 * The head of a column: a click sorts by it, and it can be dragged into the
 * grouping bar, whose menu does the same for who has no mouse.
 */
export function ColumnHead({ column, drags, sort }: Props) {
  const { setNodeRef, listeners, isDragging } = useDraggable({
    id: headID(column.name),
    data: { title: column.title },
    disabled: !drags,
  });
  // A head measures itself by its reference, which cannot be a function.
  const ref = useRef<HTMLTableCellElement>(null);
  useEffect(() => setNodeRef(ref.current), [setNodeRef]);
  const press = listeners?.['onPointerDown'];
  return (
    <Th
      ref={ref}
      sort={sort}
      modifier="nowrap"
      {...(column.doc === undefined ? {} : { title: column.doc })}
      style={isDragging ? { opacity: 0.4 } : {}}
      onPointerDown={(e) => {
        press?.(e);
      }}
    >
      {column.title}
    </Th>
  );
}
