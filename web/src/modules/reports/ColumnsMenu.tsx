import { ColumnsIcon } from '@patternfly/react-icons/dist/esm/icons/columns-icon';
import { ChoiceMenu } from './ChoiceMenu';
import type { Query } from '../../report/query';
import { shown, type Column } from '../../report/table';

interface Props {
  query: Query;
  columns: Column[];
  onChange: (query: Query) => void;
}

/** Chooses which columns are shown. One at least stays. */
export function ColumnsMenu({ query, columns, onChange }: Props) {
  const visible = shown(columns, query).map((c) => c.name);
  return (
    <ChoiceMenu
      label="Columns that are shown"
      choices={columns.map((c) => ({ value: c.name, title: c.title, says: c.doc }))}
      chosen={visible}
      onToggle={(name) => {
        const next = visible.includes(name)
          ? visible.filter((v) => v !== name)
          : columns.map((c) => c.name).filter((n) => n === name || visible.includes(n));
        if (next.length > 0) onChange({ ...query, columns: next });
      }}
      toggle={{ icon: <ColumnsIcon />, isDisabled: query.group !== undefined }}
    >
      Columns
    </ChoiceMenu>
  );
}
