import { FormGroup, TextInput } from '@patternfly/react-core';
import { useId } from 'react';

interface Props {
  /** What must be typed. */
  name: string;
  value: string;
  onChange: (typed: string) => void;
}

/** Has the name typed of what is gone for good then. */
export function TypedName({ name, value, onChange }: Props) {
  const id = useId();
  return (
    <FormGroup
      fieldId={id}
      label={
        <>
          Type <strong className="dormer-name">{name}</strong> to confirm
        </>
      }
    >
      <TextInput id={id} value={value} onChange={(_, typed) => onChange(typed)} autoComplete="off" />
    </FormGroup>
  );
}
