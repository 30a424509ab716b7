import { MenuToggle, Select, SelectList, SelectOption } from '@patternfly/react-core';
import { ColumnsIcon } from '@patternfly/react-icons/dist/esm/icons/columns-icon';
import { useState } from 'react';
import type { Query } from './query';
import { shown, type Column } from './table';

interface Props {
  query: Query;
  columns: Column[];
  onChange: (query: Query) => void;
}

/** Chooses which columns are shown. One at least stays. */
export function ColumnsMenu({ query, columns, onChange }: Props) {
  const [open, setOpen] = useState(false);
  const visible = shown(columns, query).map((c) => c.name);
  return (
    <Select
      role="menu"
      isOpen={open}
      onOpenChange={setOpen}
      isScrollable
      onSelect={(_, value) => {
        const name = String(value);
        const next = visible.includes(name)
          ? visible.filter((v) => v !== name)
          : columns.map((c) => c.name).filter((n) => n === name || visible.includes(n));
        if (next.length > 0) onChange({ ...query, columns: next });
      }}
      toggle={(ref) => (
        <MenuToggle
          ref={ref}
          onClick={() => setOpen(!open)}
          isExpanded={open}
          icon={<ColumnsIcon />}
          isDisabled={query.group !== undefined}
        >
          Columns
        </MenuToggle>
      )}
    >
      <SelectList aria-label="Columns that are shown">
        {columns.map((c) => (
          <SelectOption
            key={c.name}
            value={c.name}
            hasCheckbox
            isSelected={visible.includes(c.name)}
            description={c.doc}
          >
            {c.title}
          </SelectOption>
        ))}
      </SelectList>
    </Select>
  );
}
