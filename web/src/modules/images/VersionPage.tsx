import { ClipboardCopy, DescriptionList, EmptyState, EmptyStateBody, Flex, Stack, Title } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import { api, data, type Schemas } from '../../api/client';
import { served } from '../../app/base';
import { liveInterval } from '../../app/queries';
import { ActionButton } from '../../components/ActionButton';
import { DataTable, type Column } from '../../components/DataTable';
import { Loaded } from '../../components/Loaded';
import { machineState } from '../../components/machineState';
import { ModulePage } from '../../components/ModulePage';
import { bytes, count, plural, Time } from '../../components/format';
import { reportLink } from '../../report/link';
import { Deletion } from './Deletion';
import { Delivered } from './Delivered';
import { Fact } from '../../components/Fact';
import { imagePath } from '../../app/addresses';
import { newest, usesOf } from './figures';
import { UsedBy } from './UsedBy';
import { useWorkspaceNames } from '../../components/workspaceNames';

type Machine = Schemas['Machine'];

// oxlint-disable-next-line no-restricted-imports -- on an administrator's computer the page has what this computer does with a version
const Fetch = lazy(async () => ({ default: (await import('../local/Fetch')).Fetch }));

/** One version of an image: what it is, who made it, and which machines run it. */
export function VersionPage() {
  const { name = '', number = '' } = useParams();
  const navigate = useNavigate();
  const [deleting, setDeleting] = useState(false);
  const query = useQuery({
    queryKey: ['image', name],
    queryFn: () => data(api.GET('/images/{name}', { params: { path: { name } } })),
  });
  const version = query.data?.versions.find((v) => String(v.number) === number);
  return (
    <ModulePage
      title={`${query.data?.name ?? name}/${number}`}
      above={[
        { name: 'Images', to: '/images' },
        { name: query.data?.name ?? name, to: imagePath(name) },
      ]}
      actions={
        <Flex>
          {served().local && version && (
            <Suspense fallback={null}>
              <Fetch image={version.name} version={version.number} />
            </Suspense>
          )}
          <ActionButton
            variant="secondary"
            isDanger
            not={version ? undefined : 'There is no such version.'}
            onClick={() => setDeleting(true)}
          >
            Delete version
          </ActionButton>
        </Flex>
      }
    >
      <Loaded query={query} what="image">
        {(image) =>
          version ? (
            <Stack hasGutter>
              <Description image={image} version={version} />
              <Machines version={version} />
            </Stack>
          ) : (
            <EmptyState titleText="There is no such version" headingLevel="h2">
              <EmptyStateBody>
                It may have been deleted. <Link to={imagePath(name)}>All versions of the image</Link>
              </EmptyStateBody>
            </EmptyState>
          )
        }
      </Loaded>
      {deleting && version && (
        <Deletion
          image={version.name}
          numbers={[version.number]}
          onDone={() => void navigate(imagePath(name))}
          onClose={() => setDeleting(false)}
        />
      )}
    </ModulePage>
  );
}

function Description({ image, version }: { image: Schemas['Image']; version: Schemas['ImageVersion'] }) {
  const publishers = useQuery({ queryKey: ['publisher'], queryFn: () => data(api.GET('/publishers')) });
  const publisher = publishers.data?.items.find((p) => p.id === version.publisher);
  return (
    <DescriptionList isHorizontal isCompact>
      <Fact term="Uploaded">
        <Time at={version.created} /> by <span className="dormer-name">{version.by}</span>
      </Fact>
      <Fact term="Publisher">
        <Link className="dormer-name" to="/settings/publishers">
          {publisher?.name ?? version.publisher}
        </Link>
        {publishers.data && !publisher && ', not trusted any more'}
      </Fact>
      <Fact term="Encrypted">{version.key_id === undefined ? 'no' : `under the key ${version.key_id}`}</Fact>
      <Fact term="Size of the disks">{bytes(version.sizes.virtual)}</Fact>
      <Fact term="Full size">{bytes(version.sizes.full)}, without what is empty in the disks</Fact>
      <Fact term="Stored">{bytes(version.stored)}</Fact>
      <Fact term="Deleting it frees">{bytes(version.unique)}; other versions need the rest</Fact>
      <Fact term="Delivered">
        <Delivered version={version} />
      </Fact>
      <Fact term="Newest">
        {newest(image)?.number === version.number ? 'yes: workspaces that name no version get it' : 'no'}
      </Fact>
      <Fact term="Used by">
        <UsedBy uses={usesOf(image, version.number)} withNumber />
      </Fact>
      <Fact term="Identity">
        <ClipboardCopy isReadOnly isCode variant="inline-compact" hoverTip="Copy" clickTip="Copied">
          {version.image}
        </ClipboardCopy>
      </Fact>
    </DescriptionList>
  );
}

const columns = (nameOf: (workspace: string) => string): Column<Machine>[] => [
  {
    name: 'Computer name',
    cell: (m) => <span className="dormer-name">{m.computer_name}</span>,
    sort: (m) => m.computer_name ?? '',
  },
  { name: 'User', cell: (m) => <span className="dormer-name">{m.user.name}</span>, sort: (m) => m.user.name },
  { name: 'State', cell: (m) => machineState(m.state), sort: (m) => machineState(m.state) },
  {
    name: 'Client',
    cell: (m) => (
      <Link className="dormer-name" to={`/clients/${m.client}`}>
        {m.host ?? m.client}
      </Link>
    ),
    sort: (m) => m.host ?? m.client,
  },
  {
    name: 'Workspace',
    cell: (m) => (
      <Link className="dormer-name" to={`/workspaces/${m.workspace}`}>
        {nameOf(m.workspace)}
      </Link>
    ),
    sort: (m) => nameOf(m.workspace),
  },
];

/** How many machines are listed here. Of more, the report has all. */
const listed = 1000;

function Machines({ version: { name, number, image } }: { version: Schemas['ImageVersion'] }) {
  const query = useQuery({
    queryKey: ['machine', 'image', image],
    queryFn: () => data(api.GET('/machines', { params: { query: { image, limit: listed } } })),
    refetchInterval: liveInterval,
  });
  const nameOf = useWorkspaceNames();
  return (
    <>
      <Title headingLevel="h2">Machines that run it</Title>
      <Loaded query={query} what="machines">
        {({ items, total }) => (
          <>
            {total > items.length && (
              <p>
                The first {count(items.length)} of {plural(total, 'machine')}.{' '}
                <Link to={reportLink('status', { days: 3650, equal: { image: `${name}/${number}` } })}>
                  All in the report
                </Link>
              </p>
            )}
            <DataTable
              label="machines"
              columns={columns(nameOf)}
              rows={items}
              id={(m) => m.id}
              text={(m) => `${m.computer_name}\n${m.user.name}\n${m.host ?? ''}\n${m.client}\n${nameOf(m.workspace)}`}
              empty={
                <EmptyState titleText="No machine runs it" headingLevel="h3" variant="sm">
                  <EmptyStateBody>As clients reported last.</EmptyStateBody>
                </EmptyState>
              }
            />
          </>
        )}
      </Loaded>
    </>
  );
}
