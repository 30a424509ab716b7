import { useQuery } from '@tanstack/react-query';
import { api, data } from '../api/client';

/** Gives the names of workspaces by their identities; one that is gone keeps its identity. */
export function useWorkspaceNames(): (id: string) => string {
  const query = useQuery({ queryKey: ['workspace'], queryFn: () => data(api.GET('/workspaces')) });
  return (id) => query.data?.items.find((w) => w.id === id)?.name ?? id;
}
