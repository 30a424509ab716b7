import { EmptyState, EmptyStateBody, PageSection } from '@patternfly/react-core';
import { Link } from 'react-router';
import { useTitle } from './theme';

export function NotFound() {
  useTitle('No such page');
  return (
    <PageSection>
      <EmptyState titleText="There is no such page" headingLevel="h1">
        <EmptyStateBody>
          The address may have been mistyped, or what it showed is gone. <Link to="/">Go to the overview</Link>
        </EmptyStateBody>
      </EmptyState>
    </PageSection>
  );
}
