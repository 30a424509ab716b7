import { useQuery } from '@tanstack/react-query';
import { memo } from 'react';
import { Link } from 'react-router';
import type { Schemas } from '../../api/client';
import { count, plural, Time } from '../../components/format';
import { listed } from './calls';

/** How often machines are counted anew, in milliseconds: it is not what this page is about. */
const slowly = 30_000;

interface Props {
  id: string;
  name: string;
  newest: Schemas['Workspace'] | undefined;
}

/**
 * Who made the current revision, and who has machines of the workspace; each number leads to its rows. It has nothing
 * to do with what is typed, and is not drawn with it.
 */
export const WorkspaceSays = memo(function WorkspaceSays({ id, name, newest }: Props) {
  const query = useQuery({
    queryKey: ['workspace', 'figures', name],
    queryFn: () => listed(name),
    refetchInterval: slowly,
  });
  const figures = query.data?.find((w) => w.id === id)?.figures;
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
});
