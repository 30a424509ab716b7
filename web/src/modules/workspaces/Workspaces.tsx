import {
  Button,
  EmptyState,
  EmptyStateActions,
  EmptyStateBody,
  EmptyStateFooter,
  Flex,
  FlexItem,
  FormSelect,
  FormSelectOption,
  Label,
  LabelGroup,
} from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useNavigate, useSearchParams } from 'react-router';
import { liveInterval } from '../../app/queries';
import { saveFile } from '../../app/saveFile';
import { ActionButton } from '../../components/ActionButton';
import { rowAction } from '../../components/rowAction';
import { DataTable, type Column } from '../../components/DataTable';
import { count, plural, Time } from '../../components/format';
import { Loaded } from '../../components/Loaded';
import { useMessages } from '../../components/messages';
import { ModulePage } from '../../components/ModulePage';
import { useReadOnly } from '../../session/session';
import { exported, fileName, listed } from './calls';
import { CloneDialog, DeleteDialog, RenameDialog } from './dialogs';
import { ImportDialog } from './ImportDialog';
import { filters, findings, type Row } from './findings';

type Asked = { what: 'clone' | 'rename' | 'delete'; row: Row };

/** All workspaces: what each comes to, and what is the matter with it. */
export function Workspaces() {
  const query = useQuery({ queryKey: ['workspace', 'list'], queryFn: () => listed(), refetchInterval: liveInterval });
  const [search, setSearch] = useSearchParams();
  const readOnly = useReadOnly();
  const navigate = useNavigate();
  const say = useMessages();
  const [asked, setAsked] = useState<Asked>();
  const importing = search.has('import');
  const filter = search.get('state') ?? '';
  const put = (name: string, value: string | null) =>
    setSearch((was) => {
      if (value === null) was.delete(name);
      else was.set(name, value);
      return was;
    });
  const isDisabled = readOnly !== undefined;
  const columns: Column<Row>[] = [
    {
      name: 'Name',
      sort: (w) => w.name,
      cell: (w) => (
        <>
          <Link className="dormer-name" to={`/workspaces/${w.id}`}>
            {w.name}
          </Link>
          {w.figures?.description !== undefined && (
            <div className="dormer-name">{firstLine(w.figures.description)}</div>
          )}
        </>
      ),
    },
    {
      name: 'State',
      sort: (w) => findings(w)[0]?.text ?? '',
      cell: (w) => (
        <LabelGroup aria-label={`State of ${w.name}`} numLabels={3}>
          {findings(w).map((f) => (
            <Label key={f.text} isCompact variant="outline" status={f.severity}>
              {f.text}
            </Label>
          ))}
        </LabelGroup>
      ),
    },
    {
      name: 'Image',
      sort: (w) => w.figures?.image ?? '',
      cell: (w) =>
        w.figures?.image !== undefined && w.figures.image !== '' ? (
          <>
            <Link className="dormer-name" to={`/images/${encodeURIComponent(w.figures.image)}`}>
              {w.figures.image}
              {w.figures.image_version !== undefined && w.figures.image_version > 0
                ? ` ${w.figures.image_version}`
                : ''}
            </Link>
            {w.figures.image_problem !== undefined && <div className="dormer-name">{w.figures.image_problem}</div>}
          </>
        ) : (
          'none'
        ),
    },
    {
      name: 'Grants',
      sort: (w) => w.figures?.grants ?? 0,
      cell: (w) =>
        w.figures && (
          <Link to={`/workspaces/${w.id}?tab=deployment`} aria-label={plural(w.figures.grants, 'grant')}>
            {count(w.figures.grants)}
          </Link>
        ),
    },
    {
      name: 'Machines',
      sort: (w) => w.figures?.machines ?? 0,
      cell: (w) =>
        w.figures && (
          <Link to={`/clients?workspace=${w.id}`}>
            {w.figures.machines === 0
              ? 'none'
              : `${count(w.figures.machines)} on ${plural(w.figures.clients, 'client')}, ${count(w.figures.running)} running`}
          </Link>
        ),
    },
    {
      name: 'Changed',
      sort: (w) => w.time,
      cell: (w) => (
        <>
          <Link to={`/workspaces/${w.id}?tab=history`}>{`Revision ${w.revision}`}</Link> by{' '}
          <span className="dormer-name">{w.author}</span>
          <div>
            <Time at={w.time} />
          </div>
        </>
      ),
    },
  ];
  const tools = (
    <Flex gap={{ default: 'gapSm' }}>
      <FlexItem>
        <ActionButton onClick={() => void navigate('/workspaces/new')}>New workspace</ActionButton>
      </FlexItem>
      <FlexItem>
        <ActionButton variant="secondary" onClick={() => put('import', '')}>
          Import
        </ActionButton>
      </FlexItem>
    </Flex>
  );
  const choice = (
    <FormSelect aria-label="State" value={filter} onChange={(_, v) => put('state', v === '' ? null : v)}>
      <FormSelectOption value="" label="In any state" />
      {Object.entries(filters).map(([value, { name }]) => (
        <FormSelectOption key={value} value={value} label={name} />
      ))}
    </FormSelect>
  );
  return (
    <ModulePage
      title="Workspaces"
      says="What users get: an image, settings, and whom it is granted to."
      actions={query.data !== undefined && query.data.length > 0 ? tools : undefined}
    >
      <Loaded query={query} what="workspaces">
        {(all) => {
          const wanted = filters[filter];
          return (
            <>
              {all.length > 0 && wanted && !all.some((w) => wanted.fits(w)) ? (
                <EmptyState titleText={wanted.none} headingLevel="h2">
                  <EmptyStateFooter>
                    <EmptyStateActions>
                      <Button variant="link" onClick={() => put('state', null)}>
                        Show all workspaces
                      </Button>
                    </EmptyStateActions>
                  </EmptyStateFooter>
                </EmptyState>
              ) : (
                <DataTable
                  label="workspaces"
                  columns={columns}
                  rows={wanted ? all.filter((w) => wanted.fits(w)) : all}
                  id={(w) => w.id}
                  text={(w) =>
                    `${w.name} ${w.figures?.description ?? ''} ${w.figures?.image ?? ''} ${w.author} ${w.id}`
                  }
                  searchKey="search"
                  tools={choice}
                  name={(w) => w.name}
                  actions={(w) => [
                    {
                      title: 'Export',
                      onClick: () =>
                        void exportFile(w).catch((t: unknown) => say.failed(`${w.name} is not exported`, t)),
                    },
                    rowAction('Clone', readOnly, () => setAsked({ what: 'clone', row: w })),
                    rowAction('Rename', readOnly, () => setAsked({ what: 'rename', row: w })),
                    { isSeparator: true },
                    rowAction('Delete', readOnly, () => setAsked({ what: 'delete', row: w })),
                  ]}
                  empty={
                    <EmptyState titleText="There are no workspaces yet" headingLevel="h2">
                      <EmptyStateBody>
                        Make the first: name it, choose its image, and grant it to somebody. Or import a file, as those
                        of <code>dormer workspace export</code>.
                      </EmptyStateBody>
                      <EmptyStateFooter>
                        <EmptyStateActions>{tools}</EmptyStateActions>
                      </EmptyStateFooter>
                    </EmptyState>
                  }
                />
              )}
              {importing && !isDisabled && <ImportDialog all={all} onClose={() => put('import', null)} />}
              {asked?.what === 'clone' && <CloneDialog workspace={asked.row} onClose={() => setAsked(undefined)} />}
              {asked?.what === 'rename' && <RenameDialog workspace={asked.row} onClose={() => setAsked(undefined)} />}
              {asked?.what === 'delete' && <DeleteDialog workspace={asked.row} onClose={() => setAsked(undefined)} />}
            </>
          );
        }}
      </Loaded>
    </ModulePage>
  );
}

const firstLine = (text: string): string => text.split('\n', 1)[0] ?? '';

async function exportFile(w: Row): Promise<void> {
  saveFile(fileName(w.name), new Blob([await exported(w.id)], { type: 'application/yaml' }));
}
