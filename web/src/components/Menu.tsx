import { Dropdown, DropdownGroup, DropdownList, MenuToggle, type MenuToggleProps } from '@patternfly/react-core';
import { useState, type ReactNode } from 'react';

interface Props {
  /** What is on the button. */
  label: string;
  variant?: MenuToggleProps['variant'];
  icon?: ReactNode;
  /** A line above the items. */
  heading?: string;
  /** DropdownItem elements. */
  children: ReactNode;
}

/** A button with a menu of what can be done. */
export function Menu({ label, variant, icon, heading, children }: Props) {
  const [open, setOpen] = useState(false);
  const items = <DropdownList>{children}</DropdownList>;
  return (
    <Dropdown
      isOpen={open}
      onOpenChange={setOpen}
      onSelect={() => setOpen(false)}
      popperProps={{ position: 'right' }}
      toggle={(ref) => (
        <MenuToggle ref={ref} variant={variant} icon={icon} onClick={() => setOpen(!open)} isExpanded={open}>
          {label}
        </MenuToggle>
      )}
    >
      {heading === undefined ? items : <DropdownGroup label={heading}>{items}</DropdownGroup>}
    </Dropdown>
  );
}
