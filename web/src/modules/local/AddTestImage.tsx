import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { FormDialog } from '../../components/FormDialog';
import { ChoiceField, TextField } from '../../components/inputs';
import { useMessages } from '../../components/messages';
import { local } from './api';
import { FileChooser } from './FileChooser';

const formats = [
  { value: '', name: 'As the file looks' },
  { value: 'qcow2', name: 'qcow2' },
  { value: 'raw', name: 'Raw' },
  { value: 'vmdk', name: 'VMDK' },
  { value: 'vpc', name: 'VHD' },
  { value: 'vhdx', name: 'VHDX' },
];

/** The name that a file suggests: its own, without folder, ending, and what names cannot have. */
export const nameOf = (path: string): string =>
  (path.split(/[/\\]/).at(-1) ?? '').replace(/\.[^.]*$/, '').replace(/[\s<>|:*?"]+/g, '-');

/** Asks for a disk file that becomes a test image. */
export function AddTestImage({ onClose }: { onClose: () => void }) {
  const queries = useQueryClient();
  const say = useMessages();
  const [disk, setDisk] = useState('');
  const [name, setName] = useState('');
  const [format, setFormat] = useState('');
  const act = async () => {
    await local.POST('/tests', { body: { name, disk, ...(format === '' ? {} : { format }) } });
    await queries.invalidateQueries({ queryKey: ['local-image'] });
    say.done(`${name} is there to be tested`);
  };
  return (
    <FormDialog
      title="Add a test image"
      says="The disk stays where it is, and as it is: what a guest writes while it is tested is thrown away."
      verb="Add"
      act={act}
      onClose={onClose}
      not={disk === '' || name === '' ? 'Choose a disk file and a name first.' : undefined}
    >
      <FileChooser
        onChoose={(path) => {
          setDisk(path);
          if (name === '') setName(nameOf(path));
        }}
      />
      <TextField
        label="Disk file"
        path="disk"
        value={disk}
        onChange={setDisk}
        isRequired
        help="Whole path of a disk, or of a description of several (.json)."
      />
      <TextField
        label="Name"
        path="name"
        value={name}
        onChange={setName}
        isRequired
        help="As the image is to be called."
      />
      <ChoiceField label="Format" path="format" value={format} onChange={setFormat} choices={formats} />
    </FormDialog>
  );
}
