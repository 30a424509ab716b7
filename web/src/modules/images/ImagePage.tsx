import {
  Checkbox,
  DescriptionList,
  EmptyState,
  EmptyStateBody,
  Stack,
  Tab,
  TabTitleText,
  Tabs,
} from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { Link, useNavigate, useParams, useSearchParams } from 'react-router';
import { api, data, type Schemas } from '../../api/client';
import { ActionButton } from '../../components/ActionButton';
import { rowAction } from '../../components/rowAction';
import { DataTable, type Column } from '../../components/DataTable';
import { Gone } from '../../components/Gone';
import { Loaded } from '../../components/Loaded';
import { ModulePage } from '../../components/ModulePage';
import { bytes, count, plural, Time } from '../../components/format';
import { useReadOnly } from '../../session/session';
import { ChangedElsewhere } from '../../notices/ChangedElsewhere';
import { Deletion } from './Deletion';
import { Fact } from '../../components/Fact';
import { versionPath } from '../../app/addresses';
import { newest, usesOf } from './figures';
import { UsedBy } from './UsedBy';

type Image = Schemas['Image'];
type ImageVersion = Schemas['ImageVersion'];

/** One image: its versions, what they take, and who uses it. */
export function ImagePage() {
  const { name = '' } = useParams();
  const navigate = useNavigate();
  const [params, setParams] = useSearchParams();
  const [deleting, setDeleting] = useState(false);
  const query = useQuery({
    queryKey: ['image', name],
    queryFn: () => data(api.GET('/images/{name}', { params: { path: { name } } })),
  });
  const tab = params.get('tab') ?? 'versions';
  return (
    <ModulePage
      title={query.data?.name ?? name}
      above={[{ name: 'Images', to: '/images' }]}
      actions={
        <ActionButton
          variant="secondary"
          isDanger
          not={query.data ? undefined : 'The image is not loaded.'}
          onClick={() => setDeleting(true)}
        >
          Delete image
        </ActionButton>
      }
    >
      <Loaded query={query} what="image" gone={<Gone what="image" list="/images" id={name} />}>
        {(image) => (
          <Stack hasGutter>
            <ChangedElsewhere kind="image" id={image.name} />
            <Summary image={image} />
            <Tabs
              activeKey={tab}
              onSelect={(_, key) => setParams(key === 'versions' ? {} : { tab: String(key) }, { replace: true })}
              aria-label="Of the image"
            >
              <Tab eventKey="versions" title={<TabTitleText>Versions</TabTitleText>}>
                {tab === 'versions' && <Versions image={image} />}
              </Tab>
              <Tab eventKey="workspaces" title={<TabTitleText>Workspaces</TabTitleText>}>
                {tab === 'workspaces' && <Workspaces image={image} />}
              </Tab>
            </Tabs>
          </Stack>
        )}
      </Loaded>
      {deleting && <Deletion image={name} onDone={() => void navigate('/images')} onClose={() => setDeleting(false)} />}
    </ModulePage>
  );
}

function Summary({ image }: { image: Image }) {
  const last = newest(image);
  return (
    <DescriptionList columnModifier={{ default: '1Col', sm: '2Col', lg: '3Col' }} isCompact>
      {last && (
        <>
          <Fact term="Newest version">
            <Link to={versionPath(image.name, last.number)}>{last.number}</Link>, <Time at={last.created} />
          </Fact>
          <Fact term="Full size of it">{bytes(last.sizes.full)}</Fact>
        </>
      )}
      <Fact term="Stored">
        {bytes(image.stored)} for {plural(image.versions.length, 'version')}
      </Fact>
      <Fact term="Saved by de-duplication">{bytes(image.saved)}</Fact>
      <Fact term="Deleting the image frees">{bytes(image.unique)}</Fact>
      <Fact term="Used by">
        <Link to="?tab=workspaces">{plural(image.used_by.length, 'workspace')}</Link>
      </Fact>
    </DescriptionList>
  );
}

function Versions({ image }: { image: Image }) {
  const readOnly = useReadOnly();
  const [chosen, setChosen] = useState<number[]>([]);
  const [deleting, setDeleting] = useState<number[]>();
  const there = chosen.filter((n) => image.versions.some((v) => v.number === n));
  const columns = useMemo<Column<ImageVersion>[]>(
    () => [
      {
        name: 'Choose',
        cell: (v) => (
          <Checkbox
            id={`choose-${v.number}`}
            aria-label={`Choose version ${v.number}`}
            isDisabled={readOnly !== undefined}
            isChecked={chosen.includes(v.number)}
            onChange={(_, checked) =>
              setChosen((all) => (checked ? [...all, v.number] : all.filter((n) => n !== v.number)))
            }
          />
        ),
      },
      {
        name: 'Version',
        cell: (v) => <Link to={versionPath(image.name, v.number)}>{v.number}</Link>,
        sort: (v) => v.number,
      },
      {
        name: 'Uploaded',
        cell: (v) => (
          <>
            <Time at={v.created} /> by <span className="dormer-name">{v.by}</span>
          </>
        ),
        sort: (v) => v.created,
      },
      { name: 'Full size', cell: (v) => bytes(v.sizes.full), sort: (v) => v.sizes.full },
      { name: 'Stored', cell: (v) => bytes(v.stored), sort: (v) => v.stored },
      { name: 'Frees', cell: (v) => bytes(v.unique), sort: (v) => v.unique },
      {
        name: 'Machines',
        cell: (v) => <Link to={versionPath(image.name, v.number)}>{count(v.machines)}</Link>,
        sort: (v) => v.machines,
      },
      {
        name: 'Used by',
        cell: (v) => <UsedBy uses={usesOf(image, v.number)} />,
        sort: (v) => usesOf(image, v.number).length,
      },
    ],
    [image, chosen, readOnly],
  );
  return (
    <>
      <DataTable
        label="versions"
        columns={columns}
        rows={image.versions}
        id={(v) => String(v.number)}
        text={(v) => `${v.number}\n${v.by}\n${v.image}`}
        searchKey="search"
        sorted={{ column: 1, direction: 'desc' }}
        tools={
          <ActionButton
            variant="secondary"
            not={there.length === 0 ? 'Choose versions in the table first.' : undefined}
            onClick={() => setDeleting(there)}
          >
            {there.length === 0 ? 'Delete chosen' : `Delete ${plural(there.length, 'version')}`}
          </ActionButton>
        }
        name={(v) => `version ${v.number}`}
        actions={(v) => [rowAction('Delete…', readOnly, () => setDeleting([v.number]))]}
        empty={null}
      />
      {deleting && <Deletion image={image.name} numbers={deleting} onClose={() => setDeleting(undefined)} />}
    </>
  );
}

const workspaceColumns: Column<Schemas['ImageUse']>[] = [
  {
    name: 'Workspace',
    cell: (u) => (
      <Link className="dormer-name" to={`/workspaces/${u.workspace}`}>
        {u.name}
      </Link>
    ),
    sort: (u) => u.name,
  },
  { name: 'Version', cell: (u) => (u.number === 0 ? 'not there' : u.number), sort: (u) => u.number },
  {
    name: 'Chosen',
    cell: (u) => (u.pinned ? 'by number: stays with it' : 'always the newest'),
    sort: (u) => (u.pinned ? 1 : 0),
  },
];

function Workspaces({ image }: { image: Image }) {
  return (
    <DataTable
      label="workspaces"
      columns={workspaceColumns}
      rows={image.used_by}
      id={(u) => u.workspace}
      text={(u) => u.name}
      empty={
        <EmptyState titleText="No workspace uses it" headingLevel="h2">
          <EmptyStateBody>
            A workspace names its image in its editor, under Virtual machine. <Link to="/workspaces">Workspaces</Link>
          </EmptyStateBody>
        </EmptyState>
      }
    />
  );
}
