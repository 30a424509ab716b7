import { EmptyState, EmptyStateActions, EmptyStateBody, EmptyStateFooter } from '@patternfly/react-core';
import { Link } from 'react-router';

interface Props {
  /** What it was, as "workspace". */
  what: string;
  /** The page with those that are there. */
  list: string;
  id: string;
}

/** In place of the page of something that is not there any more, or never was. */
export function Gone({ what, list, id }: Props) {
  return (
    <EmptyState titleText={`There is no such ${what}`} headingLevel="h2">
      <EmptyStateBody>It was deleted, or the address is not whole.</EmptyStateBody>
      <EmptyStateFooter>
        <EmptyStateActions>
          <Link to={list}>All {what}s</Link>
          <Link to={`/audit?object=${encodeURIComponent(id)}`}>What became of it, in the audit log</Link>
        </EmptyStateActions>
      </EmptyStateFooter>
    </EmptyState>
  );
}
