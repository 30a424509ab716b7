import { DropdownItem } from '@patternfly/react-core';
import type { ReactNode } from 'react';
import { fileURL, useDownload } from './download';
import { Menu } from './Menu';

const formats = [
  { format: 'xlsx', name: 'Excel (.xlsx)' },
  { format: 'csv', name: 'CSV' },
  { format: 'json', name: 'JSON' },
];

interface Props {
  label: string;
  icon?: ReactNode;
  /** What is in the file. */
  heading?: string;
  /** The path of the file in the API, by its format. */
  path: (format: string) => string;
}

/** Takes a table along as a file. The browser fetches it as the server writes it, however many rows it has. */
export function Export({ label, icon, heading, path }: Props) {
  const follow = useDownload();
  return (
    <Menu label={label} icon={icon} {...(heading === undefined ? {} : { heading })}>
      {formats.map((f) => (
        <DropdownItem
          key={f.format}
          to={fileURL(path(f.format))}
          component="a"
          download=""
          onClick={follow(path(f.format))}
        >
          {f.name}
        </DropdownItem>
      ))}
    </Menu>
  );
}
