import { EmptyState, EmptyStateBody } from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useNavigate } from 'react-router';
import { asProblem } from '../../api/problem';
import { Confirm } from '../../components/Confirm';
import { rowAction } from '../../components/rowAction';
import { DataTable, type Column } from '../../components/DataTable';
import { Loaded } from '../../components/Loaded';
import { bytes, Time } from '../../components/format';
import { useMessages } from '../../components/messages';
import { useReadOnly } from '../../session/session';
import { versionPath } from '../../app/addresses';
import { imagesQuery, local, stateQuery, type LocalSchemas } from './api';
import { ExtractImage } from './ExtractImage';

type PackedImage = LocalSchemas['PackedImage'];

const columns: Column<PackedImage>[] = [
  { name: 'Name', cell: (p) => <span className="dormer-name">{p.name}</span>, sort: (p) => p.name },
  { name: 'Packed', cell: (p) => <Time at={p.created} />, sort: (p) => p.created },
  { name: 'Full size', cell: (p) => bytes(p.sizes.full), sort: (p) => p.sizes.full },
  { name: 'Packed size', cell: (p) => bytes(p.sizes.packed), sort: (p) => p.sizes.packed },
  { name: 'Uploaded', cell: (p) => <Uploaded image={p} />, sort: (p) => p.uploaded?.at ?? '' },
];

/** Says which version an image has become, of the server that is shown or of another one. */
function Uploaded({ image }: { image: PackedImage }) {
  const here = useQuery(stateQuery).data?.server?.url;
  if (!image.uploaded) return <>not from this console</>;
  const { version, at, server } = image.uploaded;
  const text = `as ${image.name}/${version}`;
  return (
    <>
      {server === here ? (
        <Link to={versionPath(image.name, version)}>{text}</Link>
      ) : (
        <span className="dormer-name">{`${text} to ${new URL(server).host}`}</span>
      )}
      , <Time at={at} />
    </>
  );
}

/** Images that were packed here: ready for the server. */
export function PackedImages() {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const readOnly = useReadOnly();
  const say = useMessages();
  const query = useQuery(imagesQuery);
  const [extracting, setExtracting] = useState<string>();
  const [deleting, setDeleting] = useState<string>();
  const begin = async (kind: 'upload' | 'verify', name: string) => {
    try {
      await local.POST('/jobs', { body: { kind, name } });
      await queries.invalidateQueries({ queryKey: ['local-job'] });
      void navigate('/local?tab=jobs');
    } catch (thrown) {
      say.failed(`${name} could not be begun`, asProblem(thrown));
    }
  };
  return (
    <Loaded query={query} what="packed images">
      {({ packed }) => (
        <>
          <DataTable
            label="packed images"
            columns={columns}
            rows={packed ?? []}
            id={(p) => p.name}
            text={(p) => p.name}
            searchKey="search"
            name={(p) => p.name}
            actions={(p) => [
              rowAction('Upload', readOnly, () => void begin('upload', p.name)),
              rowAction('Verify what the server has', undefined, () => void begin('verify', p.name)),
              rowAction('Extract from the server…', undefined, () => setExtracting(p.name)),
              rowAction('Delete…', undefined, () => setDeleting(p.name)),
            ]}
            empty={
              <EmptyState titleText="There are no packed images here yet" headingLevel="h2">
                <EmptyStateBody>
                  Pack a test image first: it is compressed and signed, and can be uploaded then.{' '}
                  <Link to="/local">Test images</Link>
                </EmptyStateBody>
              </EmptyState>
            }
          />
          {extracting !== undefined && <ExtractImage image={extracting} onClose={() => setExtracting(undefined)} />}
          {deleting !== undefined && (
            <Confirm
              title={`Delete packed image ${deleting}?`}
              verb="Delete"
              name={deleting}
              act={async () => {
                await local.DELETE('/packed/{name}', { params: { path: { name: deleting } } });
                await queries.invalidateQueries({ queryKey: ['local-image'] });
                say.done(`${deleting} is deleted on this computer`);
              }}
              onClose={() => setDeleting(undefined)}
            >
              Its files on this computer go. What is on the server stays, and so does the disk that it was packed from.
            </Confirm>
          )}
        </>
      )}
    </Loaded>
  );
}
