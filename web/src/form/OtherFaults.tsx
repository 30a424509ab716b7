import { Alert, Button } from '@patternfly/react-core';
import type { FieldError } from '../api/problem';
import { isBelow } from '../document/paths';
import { goTo, useForm } from './form';
import { unknown } from './schema';

/** Lists what is wrong below some paths and stands at no field that is on the screen, so that nothing is hidden. */
export function OtherFaults({ below }: { below: string[] }) {
  const { errors, warnings, shown } = useForm();
  const hidden = (f: FieldError) => !shown.has(f.path) && below.some((p) => isBelow(f.path, p));
  return (
    <>
      <FaultList faults={errors.filter(hidden)} variant="danger" title="Something else here is wrong" />
      <FaultList faults={warnings.filter(hidden)} variant="warning" title="Something else here needs a look" />
    </>
  );
}

interface ListProps {
  faults: FieldError[];
  variant: 'danger' | 'warning';
  title: string;
}

/** Faults with their paths, each leading to its field where that is on the screen. */
export function FaultList({ faults, variant, title }: ListProps) {
  if (faults.length === 0) return null;
  return (
    <Alert isInline variant={variant} title={title}>
      <ul>
        {faults.map((f) => (
          <li key={f.path + f.message}>
            <Button variant="link" isInline onClick={() => goTo(f.path)}>
              {f.path === '' ? 'The document' : f.path}
            </Button>{' '}
            <span className="dormer-name">{f.message}</span>
          </li>
        ))}
      </ul>
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
