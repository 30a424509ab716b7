import {
  Checkbox,
  FormGroup,
  FormHelperText,
  FormSelect,
  FormSelectOption,
  HelperText,
  HelperTextItem,
  TextArea,
  TextInput,
} from '@patternfly/react-core';
import { useId, type ReactNode } from 'react';
import { useFault } from './faults';

interface Common {
  label: string;
  /** The field as the server names it, for what it finds wrong. */
  path: string;
  help?: ReactNode;
  isRequired?: boolean;
}

/** What helps with a field, and what is wrong with it. */
function Below({ id, help, fault }: { id: string; help: ReactNode; fault: string | undefined }) {
  if (help === undefined && fault === undefined) return null;
  return (
    <FormHelperText>
      <HelperText id={id}>
        {fault !== undefined && <HelperTextItem variant="error">{fault}</HelperTextItem>}
        {help !== undefined && <HelperTextItem>{help}</HelperTextItem>}
      </HelperText>
    </FormHelperText>
  );
}

interface TextProps extends Common {
  value: string;
  onChange: (value: string) => void;
  type?: 'text' | 'password' | 'number' | 'date' | 'datetime-local';
  /** How many lines; absent: one. */
  lines?: number;
  autoComplete?: string;
  placeholder?: string;
  /** Takes the focus when it appears. */
  autoFocus?: boolean;
}

/** A text that is asked for. */
export function TextField({
  label,
  path,
  help,
  isRequired,
  value,
  onChange,
  lines,
  type = 'text',
  ...rest
}: TextProps) {
  const id = useId();
  const fault = useFault(path);
  const validated = fault === undefined ? 'default' : 'error';
  const common = { id, value, validated, 'aria-describedby': `${id}-below`, isRequired } as const;
  return (
    <FormGroup label={label} fieldId={id} isRequired={isRequired}>
      {lines === undefined ? (
        <TextInput {...common} {...rest} type={type} onChange={(_, v) => onChange(v)} />
      ) : (
        <TextArea {...common} rows={lines} resizeOrientation="vertical" onChange={(_, v) => onChange(v)} />
      )}
      <Below id={`${id}-below`} help={help} fault={fault} />
    </FormGroup>
  );
}

interface ChoiceProps extends Common {
  value: string;
  onChange: (value: string) => void;
  choices: { value: string; name: string }[];
}

/** One of a few values. */
export function ChoiceField({ label, path, help, isRequired, value, onChange, choices }: ChoiceProps) {
  const id = useId();
  const fault = useFault(path);
  return (
    <FormGroup label={label} fieldId={id} isRequired={isRequired}>
      <FormSelect
        id={id}
        value={value}
        onChange={(_, v) => onChange(v)}
        aria-describedby={`${id}-below`}
        validated={fault === undefined ? 'default' : 'error'}
      >
        {choices.map((c) => (
          <FormSelectOption key={c.value} value={c.value} label={c.name} />
        ))}
      </FormSelect>
      <Below id={`${id}-below`} help={help} fault={fault} />
    </FormGroup>
  );
}

interface CheckProps {
  label: string;
  help?: ReactNode;
  checked: boolean;
  onChange: (checked: boolean) => void;
}

/** Yes or no. */
export function CheckField({ label, help, checked, onChange }: CheckProps) {
  const id = useId();
  return <Checkbox id={id} label={label} description={help} isChecked={checked} onChange={(_, c) => onChange(c)} />;
}
