import { Button, FormGroup } from '@patternfly/react-core';
import type { ReactNode } from 'react';
import type { Schemas } from '../../api/client';
import { PrincipalPicker } from '../../components/PrincipalPicker';
import { fullName } from './names';

type Principal = Schemas['Operator']['principal'];

interface Props {
  who: Principal | undefined;
  onChange: (who: Principal | undefined) => void;
  /** What is wrong with the choice. */
  children?: ReactNode;
}

/** One user or group: looked for, then shown. */
export function WhoField({ who, onChange, children }: Props) {
  if (!who) return <PrincipalPicker kinds={['user', 'group']} label="User or group" onPick={onChange} />;
  return (
    <FormGroup label="User or group">
      <span className="dormer-name">{fullName(who)}</span>{' '}
      <Button variant="link" onClick={() => onChange(undefined)}>
        Choose another
      </Button>
      {children}
    </FormGroup>
  );
}
