import { MenuToggle, Select, SelectList, SelectOption, type MenuToggleProps } from '@patternfly/react-core';
import { useState, type ReactNode } from 'react';

interface Props {
  /** What the choices are, for screen readers. */
  label: string;
  choices: { value: string; title: string; says?: string | undefined }[];
  chosen: string[];
  /** Called with what is chosen now, or is not any more. */
  onToggle: (value: string) => void;
  /** The button that opens the menu, and what is on it. */
  toggle?: Pick<MenuToggleProps, 'id' | 'icon' | 'isDisabled' | 'isFullWidth' | 'aria-label'>;
  children: ReactNode;
}

/** A menu of which several may be chosen. It stays open meanwhile. */
export function ChoiceMenu({ label, choices, chosen, onToggle, toggle, children }: Props) {
  const [open, setOpen] = useState(false);
  return (
    <Select
      role="menu"
      isOpen={open}
      onOpenChange={setOpen}
      isScrollable
      onSelect={(_, value) => onToggle(String(value))}
      toggle={(ref) => (
        <MenuToggle {...toggle} ref={ref} onClick={() => setOpen(!open)} isExpanded={open}>
          {children}
        </MenuToggle>
      )}
    >
      <SelectList aria-label={label}>
        {choices.map((c) => (
          <SelectOption
            key={c.value}
            value={c.value}
            hasCheckbox
            isSelected={chosen.includes(c.value)}
            description={c.says}
          >
            {c.title}
          </SelectOption>
        ))}
      </SelectList>
    </Select>
  );
}
