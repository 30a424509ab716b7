import { FormGroup } from '@patternfly/react-core';
import { useId } from 'react';
import { ChoiceMenu } from './ChoiceMenu';

interface Props {
  label: string;
  choices: string[];
  chosen: string[];
  onChange: (chosen: string[]) => void;
}

/** Any of a few words; none: all of them. */
export function Several({ label, choices, chosen, onChange }: Props) {
  const id = useId();
  const said = chosen.length === 0 ? 'all' : chosen.join(', ');
  return (
    <FormGroup label={label} fieldId={id}>
      <ChoiceMenu
        label={label}
        choices={choices.map((c) => ({ value: c, title: c }))}
        chosen={chosen}
        onToggle={(word) => onChange(choices.filter((c) => (c === word) !== chosen.includes(c)))}
        toggle={{ id, isFullWidth: true, 'aria-label': `${label}: ${said}` }}
      >
        {said}
      </ChoiceMenu>
    </FormGroup>
  );
}
