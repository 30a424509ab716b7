import { DropdownItem } from '@patternfly/react-core';
import { DownloadIcon } from '@patternfly/react-icons/dist/esm/icons/download-icon';
import { Menu } from '../../components/Menu';
import { useZone } from '../../app/zone';
import { titles, timeOf } from './table';
import type { Kind, Query } from './query';
import { exportURL, formats } from './useReport';

/** Takes a report along as a file. The browser fetches it as the server writes it, however many rows it has. */
export function ExportMenu({ kind, query }: { kind: Kind; query: Query }) {
  const { zone } = useZone();
  return (
    <Menu
      label="Export"
      icon={<DownloadIcon />}
      heading={`All rows of ${titles[kind]}, ${timeOf(query)}, as filtered and sorted here`}
    >
      {formats.map((f) => (
        <DropdownItem key={f.format} to={exportURL(kind, query, zone, f.format)} component="a" download="">
          {f.name}
        </DropdownItem>
      ))}
    </Menu>
  );
}
