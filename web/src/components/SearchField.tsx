import { SearchInput, ToolbarItem } from '@patternfly/react-core';

interface Props {
  /** What is searched, as "images". */
  of: string;
  value: string;
  onChange: (value: string) => void;
  /** What it looks at, where that is not all. */
  placeholder?: string;
}

/** Where one enters what rows have to have, in the toolbar above them. */
export function SearchField({ of, value, onChange, placeholder = 'Search' }: Props) {
  return (
    <ToolbarItem>
      <SearchInput
        aria-label={`Search ${of}`}
        placeholder={placeholder}
        value={value}
        onChange={(_, entered) => onChange(entered)}
        onClear={() => onChange('')}
      />
    </ToolbarItem>
  );
}
