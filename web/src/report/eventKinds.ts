import { useQuery } from '@tanstack/react-query';
import { api, data, type Schemas } from '../api/client';

type EventKind = Schemas['EventKind'];

const none: EventKind[] = [];

/** The catalogue of events; empty until it is there. It changes with the server's version only. */
export function useEventKinds(): EventKind[] {
  const query = useQuery({
    queryKey: ['event-kind'],
    queryFn: () => data(api.GET('/event-kinds')),
    staleTime: Infinity,
  });
  return query.data?.items ?? none;
}
