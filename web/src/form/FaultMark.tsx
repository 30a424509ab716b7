import { Icon } from '@patternfly/react-core';
import { ExclamationCircleIcon } from '@patternfly/react-icons/dist/esm/icons/exclamation-circle-icon';
import { ExclamationTriangleIcon } from '@patternfly/react-icons/dist/esm/icons/exclamation-triangle-icon';
import { plural } from '../components/format';
import type { Faults } from './form';

/** Marks a tab or a row in which something is wrong: how much, in words for screen readers. */
export function FaultMark({ errors, warnings }: Faults) {
  if (errors > 0) {
    return (
      <Icon status="danger" isInline>
        <ExclamationCircleIcon role="img" aria-hidden={false} aria-label={plural(errors, 'error')} />
      </Icon>
    );
  }
  if (warnings > 0) {
    return (
      <Icon status="warning" isInline>
        <ExclamationTriangleIcon role="img" aria-hidden={false} aria-label={plural(warnings, 'warning')} />
      </Icon>
    );
  }
  return null;
}
