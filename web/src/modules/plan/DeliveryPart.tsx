import { Label } from '@patternfly/react-core';
import { DataTable, type Column } from '../../components/DataTable';
import { count } from '../../components/format';
import type { Schemas } from '../../api/client';
import type { PartProps } from './Results';
import { lasting, sized } from './units';

interface Row {
  site: Schemas['DeliverySite'];
  transfer: Schemas['DeliveryTransfer'];
}

const columns: Column<Row>[] = [
  { name: 'Site', cell: (r) => <span className="dormer-name">{r.site.site}</span>, sort: (r) => r.site.site },
  {
    name: 'Image',
    cell: (r) => <span className="dormer-name">{r.transfer.image}</span>,
    sort: (r) => r.transfer.image,
  },
  { name: 'Clients', cell: (r) => count(r.transfer.clients), sort: (r) => r.transfer.clients },
  { name: 'Way', cell: (r) => r.site.way, sort: (r) => r.site.way },
  {
    name: 'From',
    cell: (r) => <span className="dormer-name">{r.site.repository}</span>,
    sort: (r) => r.site.repository,
  },
  { name: 'First delivery', cell: (r) => lasting(r.transfer.first_planned), sort: (r) => r.transfer.first_planned },
  { name: 'Update', cell: (r) => lasting(r.transfer.update_planned), sort: (r) => r.transfer.update_planned },
  {
    name: 'Service levels',
    cell: (r) => <Label status={r.transfer.met ? 'success' : 'danger'}>{r.transfer.met ? 'Met' : 'Missed'}</Label>,
    sort: (r) => (r.transfer.met ? 1 : 0),
  },
];

const repositories: Column<Schemas['DeliveryRepository']>[] = [
  { name: 'Repository', cell: (r) => <span className="dormer-name">{r.name}</span>, sort: (r) => r.name },
  { name: 'At', cell: (r) => <span className="dormer-name">{r.site}</span>, sort: (r) => r.site },
  { name: 'Serves', cell: (r) => r.serves.join(', ') },
  { name: 'Disk', cell: (r) => sized(r.disk), sort: (r) => r.disk },
  { name: 'Downloads at once', cell: (r) => count(r.downloads), sort: (r) => r.downloads },
];

/** How images reach everybody: repositories, and the time of each site. */
export function DeliveryPart({ plan }: PartProps) {
  const rows = plan.delivery.sites.flatMap((site) => site.images.map((transfer) => ({ site, transfer })));
  return (
    <>
      <DataTable
        label="repositories"
        columns={repositories}
        rows={plan.delivery.repositories}
        id={(r) => r.name + r.site}
        empty={<p>There is no repository.</p>}
      />
      <DataTable
        label="deliveries"
        columns={columns}
        rows={rows}
        id={(r) => `${r.site.site} ${r.site.network ?? ''} ${r.site.instance} ${r.transfer.image}`}
        text={(r) => `${r.site.site} ${r.transfer.image} ${r.site.repository}`}
        empty={<p>Nobody gets an image.</p>}
      />
    </>
  );
}
