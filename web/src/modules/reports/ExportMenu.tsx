import { DownloadIcon } from '@patternfly/react-icons/dist/esm/icons/download-icon';
import { useZone } from '../../app/zone';
import { Export } from '../../components/Export';
import { titles, timeOf } from '../../report/table';
import type { Kind, Query } from '../../report/query';
import { exportPath } from '../../report/useReport';

/** Takes a report along as a file. */
export function ExportMenu({ kind, query }: { kind: Kind; query: Query }) {
  const { zone } = useZone();
  return (
    <Export
      label="Export"
      icon={<DownloadIcon />}
      heading={`All rows of ${titles[kind]}, ${timeOf(query)}, as filtered and sorted here`}
      path={(format) => exportPath(kind, query, zone, format)}
    />
  );
}
