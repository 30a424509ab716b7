import { closestCenter, pointerWithin, type CollisionDetection, type UniqueIdentifier } from '@dnd-kit/core';
import type { Column } from '../../report/table';

/** The bar itself, in which columns are dropped behind those that are there. */
export const bar = 'bar';

/** What the head of a column is dragged by, and a column that is grouped by. */
export const headID = (column: string): string => `head:${column}`;
export const groupID = (column: string): string => `group:${column}`;

/** The column that something which is dragged is of. */
export const columnOf = (id: UniqueIdentifier): string | undefined => String(id).split(':', 2)[1];

/** What is dragged by pointer is over what the pointer is in; by keyboard, over the group that is nearest. */
export const nearest: CollisionDetection = (args) =>
  args.pointerCoordinates
    ? pointerWithin(args)
    : closestCenter({ ...args, droppableContainers: args.droppableContainers.filter((c) => c.id !== bar) });

/** What a thing that is dragged is called, and what a place is, for screen readers. */
export const sayings = (columns: Column[], group: string[]) => ({
  called: (id: UniqueIdentifier): string => {
    const name = columnOf(id) ?? '';
    return columns.find((c) => c.name === name)?.title ?? name;
  },
  place: (id: UniqueIdentifier): string => {
    const at = String(id) === groupID(columnOf(id) ?? '') ? group.indexOf(columnOf(id) ?? '') : -1;
    if (at >= 0) return `place ${at + 1} of ${group.length} of what the report is grouped by`;
    return id === bar ? 'what the report is grouped by' : 'the head of its column';
  },
});
