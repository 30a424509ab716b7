import type { Announcements, UniqueIdentifier } from '@dnd-kit/core';
import { useLayoutEffect, useMemo, useRef } from 'react';

type Saying = (id: UniqueIdentifier) => string;

/** What is read out while something is dragged: what it is called, and the place of what it is over. */
export function useAnnouncements(called: Saying, place: Saying): Announcements {
  const latest = useRef({ called, place });
  useLayoutEffect(() => {
    latest.current = { called, place };
  });
  return useMemo(() => {
    const name: Saying = (id) => latest.current.called(id);
    const at: Saying = (id) => latest.current.place(id);
    return {
      onDragStart: ({ active }) => `${name(active.id)} is picked up, ${at(active.id)}.`,
      onDragOver: ({ active, over }) => (over ? `${name(active.id)} is over ${at(over.id)}.` : undefined),
      onDragEnd: ({ active, over }) =>
        over ? `${name(active.id)} was put at ${at(over.id)}.` : `${name(active.id)} stays where it was.`,
      onDragCancel: ({ active }) => `${name(active.id)} stays where it was.`,
    };
  }, []);
}
