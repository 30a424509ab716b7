import { Icon } from '@patternfly/react-core';
import { ExclamationCircleIcon } from '@patternfly/react-icons/dist/esm/icons/exclamation-circle-icon';
import { ExclamationTriangleIcon } from '@patternfly/react-icons/dist/esm/icons/exclamation-triangle-icon';
import type { Faults } from './form';

const counted = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

/** Marks a tab or a row in which something is wrong: how much, in words for screen readers. */
export function FaultMark({ errors, warnings }: Faults) {
  if (errors > 0) {
    return (
      <Icon status="danger" isInline>
        <ExclamationCircleIcon role="img" aria-hidden={false} aria-label={counted(errors, 'error')} />
      </Icon>
    );
  }
  if (warnings > 0) {
    return (
      <Icon status="warning" isInline>
        <ExclamationTriangleIcon role="img" aria-hidden={false} aria-label={counted(warnings, 'warning')} />
      </Icon>
    );
  }
  return null;
}
