import { keepPreviousData, useQuery, type UseQueryResult } from '@tanstack/react-query';
import { raw } from '../api/client';
import { liveInterval } from '../app/queries';
import { useZone } from '../app/zone';
import { parameters, type Kind, type Query } from './query';
import type { Page } from './table';

/** Where in a report one is, and how much of it is wanted. */
export interface Place {
  limit: number;
  /** Next of the page before. */
  after?: string | undefined;
  /** Whether it is asked for again and again. */
  live?: boolean;
}

/** Asks for a page of a report. All columns come: what is not shown in a row is shown below it. */
export function useReport(kind: Kind, query: Query, place: Place): UseQueryResult<Page> {
  const { zone } = useZone();
  const { columns: _, ...asked } = query;
  const search = parameters(asked);
  search.set('tz', zone);
  search.set('limit', String(place.limit));
  if (place.after !== undefined) search.set('after', place.after);
  const path = `/reports/${kind}?${search.toString()}`;
  return useQuery({
    queryKey: ['report', 'rows', path],
    queryFn: async ({ signal }) => ({
      ...((await (await raw(path, { signal })).json()) as Omit<Page, 'query'>),
      query: asked,
    }),
    placeholderData: keepPreviousData,
    refetchInterval: place.live === true ? liveInterval : false,
  });
}

/** The path in the API of a report as a file, with all of its rows. */
export function exportPath(kind: Kind, query: Query, zone: string, format: string): string {
  const search = parameters(query);
  search.set('tz', zone);
  search.set('format', format);
  return `/reports/${kind}/export?${search.toString()}`;
}
