import { EmptyState, EmptyStateBody } from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { api } from '../../api/client';
import { asProblem } from '../../api/problem';
import { Confirm } from '../../components/Confirm';
import { rowAction } from '../../components/rowAction';
import { DataTable, type Column } from '../../components/DataTable';
import { Time } from '../../components/format';
import { Loaded } from '../../components/Loaded';
import { useMessages } from '../../components/messages';
import { useReadOnly } from '../../session/session';
import { reportLink } from '../../report/link';
import { kinds, type Kind } from '../../report/query';
import { SaveDialog } from './SaveDialog';
import { savedReports, type SavedReport } from './savedReports';
import { filters, timeOf, titles } from '../../report/table';

const kindOf = (r: SavedReport): Kind => kinds.find((k) => k === r.report) ?? 'activity';

/** What a saved report asks for, in a line. */
function asks(r: SavedReport): string {
  const parts = [timeOf(r.query), ...filters(r.query, (c) => c).map((f) => `${f.name}: ${f.value}`)];
  if (r.query.group !== undefined) parts.push(`grouped by ${r.query.group.join(', ')}`);
  return parts.join('; ');
}

const columns: Column<SavedReport>[] = [
  {
    name: 'Name',
    sort: (r) => r.name,
    cell: (r) => (
      <Link className="dormer-name" to={reportLink(kindOf(r), r.query)}>
        {r.name}
      </Link>
    ),
  },
  { name: 'Report', sort: (r) => r.report, cell: (r) => titles[kindOf(r)] },
  { name: 'Asks for', cell: (r) => <span className="dormer-name">{asks(r)}</span> },
  { name: 'What it is for', cell: (r) => <span className="dormer-name">{r.description}</span> },
  { name: 'Saved by', sort: (r) => r.changed_by, cell: (r) => <span className="dormer-name">{r.changed_by}</span> },
  { name: 'Saved', sort: (r) => r.changed, cell: (r) => <Time at={r.changed} /> },
];

/** The reports that were given a name. Every operator may run them. */
export function Saved() {
  const query = useQuery(savedReports);
  const client = useQueryClient();
  const { undoable, failed } = useMessages();
  const readOnly = useReadOnly();
  const [deleting, setDeleting] = useState<SavedReport>();
  const [renaming, setRenaming] = useState<SavedReport>();
  const changed = () => client.invalidateQueries({ queryKey: savedReports.queryKey });
  const put = (r: SavedReport) =>
    api
      .PUT('/reports/saved/{name}', {
        params: { path: { name: r.name } },
        body: { report: r.report, description: r.description ?? '', query: r.query },
      })
      .then(changed, (thrown: unknown) => failed(`${r.name} could not be saved again`, asProblem(thrown)));
  const remove = async (r: SavedReport) => {
    await api.DELETE('/reports/saved/{name}', { params: { path: { name: r.name } } });
    await changed();
    undoable(`${r.name} was deleted`, () => void put(r));
  };
  return (
    <Loaded query={query} what="saved reports">
      {({ items }) => (
        <>
          <DataTable
            label="Saved reports"
            columns={columns}
            rows={items}
            id={(r) => r.name}
            text={(r) => `${r.name} ${r.description ?? ''} ${r.report} ${r.changed_by}`}
            name={(r) => r.name}
            actions={(r) => [
              rowAction('Rename', readOnly, () => setRenaming(r)),
              rowAction('Delete', readOnly, () => setDeleting(r)),
            ]}
            empty={
              <EmptyState titleText="No report was saved yet" headingLevel="h2">
                <EmptyStateBody>
                  Open a report, narrow and group it as you need it again and again, and press Save.
                </EmptyStateBody>
              </EmptyState>
            }
          />
          {deleting && (
            <Confirm
              title={`Delete ${deleting.name}?`}
              verb="Delete"
              act={() => remove(deleting)}
              onClose={() => setDeleting(undefined)}
            >
              The report is there no more for anybody. The rows that it showed stay.
            </Confirm>
          )}
          {renaming && (
            <SaveDialog
              kind={kindOf(renaming)}
              query={renaming.query}
              old={{ name: renaming.name, description: renaming.description ?? '' }}
              onClose={() => setRenaming(undefined)}
            />
          )}
        </>
      )}
    </Loaded>
  );
}
