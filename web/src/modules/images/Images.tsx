import {
  CodeBlock,
  CodeBlockCode,
  Content,
  EmptyState,
  EmptyStateBody,
  EmptyStateFooter,
  EmptyStateActions,
} from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { api, data, type Schemas } from '../../api/client';
import { served } from '../../app/base';
import { rowAction } from '../../components/rowAction';
import { DataTable, type Column } from '../../components/DataTable';
import { Loaded } from '../../components/Loaded';
import { ModulePage } from '../../components/ModulePage';
import { bytes, count, plural, Time } from '../../components/format';
import { useReadOnly } from '../../session/session';
import { Deletion } from './Deletion';
import { imagePath, versionPath } from '../../app/addresses';
import { newest, total } from './figures';
import { UsedBy } from './UsedBy';

type Image = Schemas['Image'];

const columns: Column<Image>[] = [
  {
    name: 'Name',
    cell: (i) => (
      <Link className="dormer-name" to={imagePath(i.name)}>
        {i.name}
      </Link>
    ),
    sort: (i) => i.name,
  },
  {
    name: 'Newest version',
    cell: (i) => {
      const v = newest(i);
      return (
        v && (
          <>
            <Link to={versionPath(i.name, v.number)}>{v.number}</Link>, <Time at={v.created} />
          </>
        )
      );
    },
    sort: (i) => newest(i)?.created ?? '',
  },
  {
    name: 'Versions',
    cell: (i) => <Link to={imagePath(i.name)}>{count(i.versions.length)}</Link>,
    sort: (i) => i.versions.length,
  },
  { name: 'Full size', cell: (i) => bytes(newest(i)?.sizes.full ?? 0), sort: (i) => newest(i)?.sizes.full ?? 0 },
  { name: 'Stored', cell: (i) => bytes(i.stored), sort: (i) => i.stored },
  { name: 'Saved', cell: (i) => bytes(i.saved), sort: (i) => i.saved },
  { name: 'Used by', cell: (i) => <UsedBy uses={i.used_by} />, sort: (i) => i.used_by.length },
];

/** The images of the repository, what they take, and who uses them. */
export function Images() {
  const readOnly = useReadOnly();
  const query = useQuery({ queryKey: ['image'], queryFn: () => data(api.GET('/images')) });
  const [deleting, setDeleting] = useState<string>();
  return (
    <ModulePage
      title="Images"
      says={
        <>
          Disks of virtual machines, in numbered versions, as workspaces use them. They are uploaded from the computer
          on which they were packed,{' '}
          {served().local ? (
            <Link to="/local">this one</Link>
          ) : (
            <>
              by <code>dormer console</code>
            </>
          )}{' '}
          or by <code>dormer image push</code>.
        </>
      }
    >
      <Loaded query={query} what="images">
        {({ items }) => (
          <>
            {items.length > 0 && <Total images={items} />}
            <DataTable
              label="images"
              columns={columns}
              rows={items}
              id={(i) => i.name}
              text={(i) => [i.name, ...i.used_by.map((u) => u.name)].join('\n')}
              searchKey="search"
              name={(i) => i.name}
              actions={(i) => [rowAction('Delete…', readOnly, () => setDeleting(i.name))]}
              empty={<NoImages />}
            />
          </>
        )}
      </Loaded>
      {deleting !== undefined && <Deletion image={deleting} onClose={() => setDeleting(undefined)} />}
    </ModulePage>
  );
}

function Total({ images }: { images: Image[] }) {
  const all = total(images);
  return (
    <Content component="p">
      {plural(images.length, 'image')} with {plural(all.versions, 'version')} take <strong>{bytes(all.stored)}</strong>;
      what versions share is stored once, which saves <strong>{bytes(all.saved)}</strong>.
    </Content>
  );
}

function NoImages() {
  return (
    <EmptyState titleText="There are no images yet" headingLevel="h2">
      <EmptyStateBody>
        An image is made on an administrator's computer from a disk file, tried there, packed and uploaded:
        <CodeBlock>
          <CodeBlockCode>{'dormer image pack office disk.qcow2\ndormer image push office'}</CodeBlockCode>
        </CodeBlock>
        {!served().local && (
          <>
            Or with the mouse: <code>dormer console</code> opens this console with the images of that computer.
          </>
        )}
      </EmptyStateBody>
      {served().local && (
        <EmptyStateFooter>
          <EmptyStateActions>
            <Link to="/local">Make one on this computer</Link>
          </EmptyStateActions>
        </EmptyStateFooter>
      )}
    </EmptyState>
  );
}
