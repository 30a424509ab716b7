import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { FormDialog } from '../../components/FormDialog';
import { ChoiceField, TextField } from '../../components/inputs';
import { folderQuery, imagesQuery, local } from './api';

const formats = [
  { value: 'qcow2', name: 'qcow2' },
  { value: 'raw', name: 'Raw' },
];

/** Asks where a version of the server is written to as a disk, and begins. */
export function ExtractImage({ image, version, onClose }: { image: string; version?: number; onClose: () => void }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const home = useQuery(folderQuery());
  const tests = useQuery(imagesQuery);
  const [format, setFormat] = useState('qcow2');
  const [typed, setTyped] = useState<string>();
  const [test, setTest] = useState('');
  const to = typed ?? (home.data ? `${home.data.path}/${image}.${format}` : '');
  const taken = tests.data?.tests?.some((t) => t.name === test) === true;
  const act = async () => {
    await local.POST('/jobs', {
      body: {
        kind: 'extract',
        name: image,
        to,
        format,
        ...(version === undefined ? {} : { version }),
        ...(test === '' ? {} : { test }),
      },
    });
    await queries.invalidateQueries({ queryKey: ['local-job'] });
    void navigate('/local?tab=jobs');
  };
  return (
    <FormDialog
      title={`Extract ${image}${version === undefined ? '' : `/${version}`}`}
      says="Its disk is fetched from the server, checked, and written to a file of this computer."
      verb="Extract"
      act={act}
      onClose={onClose}
      not={to === '' ? 'Say where it is written to first.' : taken ? 'A test image has that name.' : undefined}
    >
      <TextField
        label="File"
        path="to"
        value={to}
        onChange={setTyped}
        isRequired
        help="Whole path; it must not be there yet."
      />
      <ChoiceField label="Format" path="format" value={format} onChange={setFormat} choices={formats} />
      <TextField
        label="Test image"
        path="test"
        value={test}
        onChange={setTest}
        help="With a name the disk becomes a test image afterwards."
      />
    </FormDialog>
  );
}
