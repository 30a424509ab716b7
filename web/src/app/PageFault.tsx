import {
  Button,
  EmptyState,
  EmptyStateActions,
  EmptyStateBody,
  EmptyStateFooter,
  PageSection,
} from '@patternfly/react-core';
import { useRouteError } from 'react-router';
import { asProblem } from '../api/problem';
import { useTitle } from './theme';

/** What is shown in place of a page that failed, for one by one no page may take the console with it. */
export function PageFault() {
  const { document } = asProblem(useRouteError());
  useTitle('This page failed');
  return (
    <PageSection>
      <EmptyState titleText="This page failed" headingLevel="h1" status="danger">
        <EmptyStateBody>{document.detail ?? document.title}</EmptyStateBody>
        <EmptyStateFooter>
          <EmptyStateActions>
            <Button onClick={() => window.location.reload()}>Load it again</Button>
          </EmptyStateActions>
        </EmptyStateFooter>
      </EmptyState>
    </PageSection>
  );
}
