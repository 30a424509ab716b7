import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';
import { isUnderWay, type LocalSchemas } from './api';

/** Has the images asked for anew when a job has ended, for it may have made one: a short one is never seen to run. */
export function useFreshImages(jobs: LocalSchemas['Job'][] | undefined): void {
  const queries = useQueryClient();
  const known = useRef<Set<string>>(undefined);
  useEffect(() => {
    if (!jobs) return;
    const ended = jobs.filter((j) => !isUnderWay(j)).map((j) => j.id);
    if (known.current && ended.some((id) => !known.current?.has(id))) {
      void queries.invalidateQueries({ queryKey: ['local-image'] });
      void queries.invalidateQueries({ queryKey: ['image'] });
    }
    known.current = new Set(ended);
  }, [jobs, queries]);
}
