import { Dropdown, DropdownItem, DropdownList, MenuToggle } from '@patternfly/react-core';
import { PlusCircleIcon } from '@patternfly/react-icons/dist/esm/icons/plus-circle-icon';
import { useState } from 'react';
import { ActionButton } from '../../../components/ActionButton';
import type { JsonObject } from '../../../document/json';
import { inputId } from '../../../form/form';
import { actionKinds } from './actions';

interface Props {
  /** Why none can be added; undefined: one can. */
  not: string | undefined;
  onAdd: (action: JsonObject, open: boolean) => void;
}

/** Adds an action of a chosen kind to the script. */
export function AddAction({ not, onAdd }: Props) {
  const [open, setOpen] = useState(false);
  const id = inputId('spec.setup.actions');
  const says = 'Add action';
  if (not !== undefined) {
    return (
      <ActionButton variant="secondary" icon={<PlusCircleIcon />} id={id} not={not}>
        {says}
      </ActionButton>
    );
  }
  return (
    <Dropdown
      isOpen={open}
      onOpenChange={setOpen}
      onSelect={() => setOpen(false)}
      shouldFocusFirstItemOnOpen
      toggle={(ref) => (
        <MenuToggle ref={ref} id={id} icon={<PlusCircleIcon />} isExpanded={open} onClick={() => setOpen(!open)}>
          {says}
        </MenuToggle>
      )}
    >
      <DropdownList>
        {actionKinds.map((k) => (
          <DropdownItem
            key={k.member}
            onClick={() => onAdd({ [k.member]: k.first }, Object.keys(k.first).length > 0 || k.member === 'joinDomain')}
          >
            {k.name}
          </DropdownItem>
        ))}
      </DropdownList>
    </Dropdown>
  );
}
