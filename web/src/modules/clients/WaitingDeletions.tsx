import { Alert } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { api, data } from '../../api/client';
import { liveInterval } from '../../app/queries';
import { plural } from '../../components/format';

/** Machines that their policies want deleted, and that wait; they may concern other pages too, see Deletions. */
export const useDeletions = () =>
  useQuery({
    queryKey: ['deletions'],
    queryFn: () => data(api.GET('/deletions')),
    refetchInterval: liveInterval,
  });

/** Says that deletions wait for somebody to look at them. */
export function WaitingDeletions() {
  const halted = (useDeletions().data?.items ?? []).filter((d) => d.state === 'halted').length;
  if (halted === 0) return null;
  return (
    <Alert
      isInline
      variant="warning"
      title={`${plural(halted, 'deletion')} by policy ${halted === 1 ? 'waits' : 'wait'} for you`}
      actionLinks={<Link to="/clients/deletions">Look at them</Link>}
    >
      So many machines at once are not deleted unless somebody has looked.
    </Alert>
  );
}
