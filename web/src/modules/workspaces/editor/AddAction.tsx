import { Dropdown, DropdownItem, DropdownList, MenuToggle } from '@patternfly/react-core';
import { PlusCircleIcon } from '@patternfly/react-icons/dist/esm/icons/plus-circle-icon';
import { useState } from 'react';
import type { JsonObject } from '../../../document/json';
import { inputId } from '../../../form/form';
import { actionKinds } from './actions';

/** Adds an action of a chosen kind to the script. */
export function AddAction({ onAdd }: { onAdd: (action: JsonObject, open: boolean) => void }) {
  const [open, setOpen] = useState(false);
  return (
    <Dropdown
      isOpen={open}
      onOpenChange={setOpen}
      onSelect={() => setOpen(false)}
      shouldFocusFirstItemOnOpen
      toggle={(ref) => (
        <MenuToggle
          ref={ref}
          id={inputId('spec.setup.actions')}
          icon={<PlusCircleIcon />}
          isExpanded={open}
          onClick={() => setOpen(!open)}
        >
          Add action
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
