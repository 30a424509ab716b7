import { Alert } from '@patternfly/react-core';
import type { ReactNode } from 'react';
import { useReadOnly } from '../session/session';

/** The fields of a form whose only end is a change: who may not change anything reads them, and why. */
export function ChangingFields({ children }: { children: ReactNode }) {
  const why = useReadOnly();
  return (
    <>
      {why !== undefined && <Alert isInline isPlain variant="info" title={why} component="p" />}
      <fieldset className="dormer-fields" disabled={why !== undefined}>
        {children}
      </fieldset>
    </>
  );
}
