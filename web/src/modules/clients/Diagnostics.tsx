import { Content, EmptyState, EmptyStateBody } from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, data, type Schemas } from '../../api/client';
import { liveInterval } from '../../app/queries';
import { Confirm } from '../../components/Confirm';
import { rowAction } from '../../components/rowAction';
import { DataTable, type Column } from '../../components/DataTable';
import { fileURL, useDownload } from '../../components/download';
import { Loaded } from '../../components/Loaded';
import { bytes, Time } from '../../components/format';
import { useMessages } from '../../components/messages';
import { useReadOnly } from '../../session/session';

type Archive = Schemas['Diagnostics'];

const columns: Column<Archive>[] = [
  { name: 'Received', cell: (d) => <Time at={d.received} />, sort: (d) => d.received },
  { name: 'Size', cell: (d) => bytes(d.bytes), sort: (d) => d.bytes },
  { name: 'Kept until', cell: (d) => <Time at={d.expires} />, sort: (d) => d.expires },
  {
    name: 'Archive',
    cell: (d) => <Download path={`/diagnostics/${d.id}`} />,
  },
];

function Download({ path }: { path: string }) {
  const follow = useDownload();
  return (
    <a href={fileURL(path)} download onClick={follow(path)}>
      Download
    </a>
  );
}

/** The archives of diagnostics that a client has sent. */
export function Diagnostics({ client }: { client: string }) {
  const queries = useQueryClient();
  const say = useMessages();
  const readOnly = useReadOnly();
  const [deleting, setDeleting] = useState<Archive>();
  const query = useQuery({
    queryKey: ['client', client, 'diagnostics'],
    queryFn: () => data(api.GET('/diagnostics', { params: { query: { client } } })),
    refetchInterval: liveInterval,
  });
  return (
    <>
      <Loaded query={query} what="diagnostics">
        {({ items }) => (
          <DataTable
            label="diagnostics"
            columns={columns}
            rows={items}
            id={(d) => d.id}
            sorted={{ column: 0, direction: 'desc' }}
            name={(d) => `the archive of ${d.received}`}
            actions={(d) => [rowAction('Delete', readOnly, () => setDeleting(d), true)]}
            empty={
              <EmptyState titleText="No diagnostics are here" headingLevel="h2">
                <EmptyStateBody>
                  Choose “Collect diagnostics” among the orders above: the client sends its state and the ends of its
                  logs when it asks next. The newest are kept for 30 days.
                </EmptyStateBody>
              </EmptyState>
            }
          />
        )}
      </Loaded>
      {deleting && (
        <Confirm
          title="Delete these diagnostics?"
          verb="Delete"
          onClose={() => setDeleting(undefined)}
          act={async () => {
            await api.DELETE('/diagnostics/{id}', { params: { path: { id: deleting.id } } });
            await queries.invalidateQueries({ queryKey: ['client', client, 'diagnostics'] });
            say.done('The diagnostics are deleted');
          }}
        >
          <Content component="p">
            The archive of <Time at={deleting.received} /> is deleted from the server. The client can be asked for
            another.
          </Content>
        </Confirm>
      )}
    </>
  );
}
