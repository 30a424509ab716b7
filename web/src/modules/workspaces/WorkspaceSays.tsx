import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { api, data, type Schemas } from '../../api/client';
import { liveInterval } from '../../app/queries';
import { count, plural, Time } from '../../components/format';

interface Props {
  id: string;
  name: string;
  newest: Schemas['Workspace'] | undefined;
}

/** Who made the current revision, and who has machines of the workspace; each number leads to its rows. */
export function WorkspaceSays({ id, name, newest }: Props) {
  const query = useQuery({
    queryKey: ['workspace', id, 'figures', name],
    queryFn: () => data(api.GET('/workspaces', { params: { query: { name, figures: true } } })),
    refetchInterval: liveInterval,
  });
  const figures = query.data?.items.find((w) => w.id === id)?.figures;
  return (
    <>
      {newest && (
        <>
          <Link to={`/workspaces/${id}?tab=history`}>{`Revision ${newest.revision}`}</Link> by{' '}
          <span className="dormer-name">{newest.author}</span>, <Time at={newest.time} />
        </>
      )}
      {figures && (
        <>
          {' · '}
          <Link to={`/clients?workspace=${id}`}>{plural(figures.machines, 'machine')}</Link>
          {figures.running > 0 && `, ${count(figures.running)} running`}
        </>
      )}
    </>
  );
}
