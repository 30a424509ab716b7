import { Alert } from '@patternfly/react-core';
import type { FieldError } from '../api/problem';
import { isBelow } from '../document/paths';
import { FaultList } from './FaultList';
import { goTo, useForm } from './form';
import { unknown } from './schema';

/** Lists what is wrong below some paths and stands at no field that is on the screen, so that nothing is hidden. */
export function OtherFaults({ below }: { below: string[] }) {
  const { errors, warnings, shown } = useForm();
  const hidden = (f: FieldError) => !shown.has(f.path) && below.some((p) => isBelow(f.path, p));
  return (
    <>
      <Listed faults={errors.filter(hidden)} variant="danger" title="Something else here is wrong" />
      <Listed faults={warnings.filter(hidden)} variant="warning" title="Something else here needs a look" />
    </>
  );
}

interface ListedProps {
  faults: FieldError[];
  variant: 'danger' | 'warning';
  title: string;
}

function Listed({ faults, variant, title }: ListedProps) {
  if (faults.length === 0) return null;
  return (
    <Alert isInline variant={variant} title={title}>
      <FaultList faults={faults} onFault={goTo} />
    </Alert>
  );
}

/** Says which members of the document this console does not know; they are kept as they are. */
export function UnknownMembers() {
  const { schema, document } = useForm();
  const paths = unknown(schema, document);
  if (paths.length === 0) return null;
  return (
    <Alert isInline variant="info" title="This document has fields that this console does not know">
      <p>They are kept as they are; the YAML view shows them: {paths.join(', ')}.</p>
    </Alert>
  );
}
