import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { api, data } from '../../../api/client';
import { bytes } from '../../../components/format';
import { asText, type Json } from '../../../document/json';
import { valueAt } from '../../../document/paths';
import { Field } from '../../../form/Field';
import { FaultsOf } from '../../../form/FaultsOf';
import { Fields } from '../../../form/Section';

/** Which image, and how its new versions reach machines: chosen from what the server has. */
export function ImageFields({ document }: { document: Json }) {
  const stored = useQuery({ queryKey: ['image'], queryFn: () => data(api.GET('/images')) });
  const source = asText(valueAt(document, 'spec.machine.image.source')) || 'server';
  const name = asText(valueAt(document, 'spec.machine.image.name'));
  const images = stored.data?.items ?? [];
  const image = images.find((i) => i.name === name);
  const ofServer = source === 'server' && images.length > 0;
  return (
    <>
      <Field path="spec.machine.image.source" label="Where the image is" />
      <Fields>
        <Field
          path="spec.machine.image.name"
          label="Image"
          options={
            ofServer
              ? images.map((i) => ({ value: i.name, name: `${i.name} (${i.versions.length} versions)` }))
              : undefined
          }
          help={
            stored.data && images.length === 0 && source === 'server' ? (
              <>
                The server has no image yet. <Link to="/images">Upload one</Link>, or name one that will come.
              </>
            ) : undefined
          }
        />
        <Field
          path="spec.machine.image.version"
          label="Version"
          options={
            ofServer && image
              ? [
                  { value: '', name: 'Always the newest' },
                  ...image.versions.map((v) => ({
                    value: v.number,
                    name: `${v.number} of ${v.created.slice(0, 10)}, ${bytes(v.sizes.full)}`,
                  })),
                ]
              : undefined
          }
        />
      </Fields>
      <FaultsOf path="spec.machine.image" label="The image" />
      <Field path="spec.machine.updates.mode" label="New versions" />
      <Fields>
        <Field path="spec.machine.keepOldVersions" label="Old versions kept" />
        <Field path="spec.machine.hostFiles" label="Take blocks from files of the host" />
      </Fields>
    </>
  );
}
