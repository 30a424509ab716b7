import { FormGroup, MenuToggle, Select, SelectList, SelectOption } from '@patternfly/react-core';
import { useId, useState } from 'react';

interface Props {
  label: string;
  choices: string[];
  chosen: string[];
  onChange: (chosen: string[]) => void;
}

/** Any of a few words; none: all of them. */
export function Several({ label, choices, chosen, onChange }: Props) {
  const id = useId();
  const [open, setOpen] = useState(false);
  return (
    <FormGroup label={label} fieldId={id}>
      <Select
        role="menu"
        isOpen={open}
        onOpenChange={setOpen}
        isScrollable
        onSelect={(_, value) => {
          const word = String(value);
          onChange(choices.filter((c) => (c === word) !== chosen.includes(c)));
        }}
        toggle={(ref) => (
          <MenuToggle
            ref={ref}
            id={id}
            onClick={() => setOpen(!open)}
            isExpanded={open}
            isFullWidth
            aria-label={`${label}: ${chosen.length === 0 ? 'all' : chosen.join(', ')}`}
          >
            {chosen.length === 0 ? 'all' : chosen.join(', ')}
          </MenuToggle>
        )}
      >
        <SelectList aria-label={label}>
          {choices.map((c) => (
            <SelectOption key={c} value={c} hasCheckbox isSelected={chosen.includes(c)}>
              {c}
            </SelectOption>
          ))}
        </SelectList>
      </Select>
    </FormGroup>
  );
}
