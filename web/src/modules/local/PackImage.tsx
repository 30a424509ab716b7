import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { FormDialog } from '../../components/FormDialog';
import { CheckField, TextField } from '../../components/inputs';
import { local } from './api';

/** Asks how a test image is packed, and begins. */
export function PackImage({ test, onClose }: { test: string; onClose: () => void }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [name, setName] = useState(test);
  const [unencrypted, setUnencrypted] = useState(false);
  const act = async () => {
    await local.POST('/jobs', { body: { kind: 'pack', name, test, ...(unencrypted ? { unencrypted } : {}) } });
    await queries.invalidateQueries({ queryKey: ['local-job'] });
    void navigate('/local?tab=jobs');
  };
  return (
    <FormDialog
      title={`Pack ${test}`}
      says="Packing compresses the disk, leaves out what earlier versions have, and signs it with your key."
      verb="Pack"
      act={act}
      onClose={onClose}
      not={name === '' ? 'Give the image a name first.' : undefined}
    >
      <TextField
        label="Name of the image"
        path="name"
        value={name}
        onChange={setName}
        isRequired
        help="With the name of an image that is there it becomes the next version of it."
      />
      <CheckField
        label="Not encrypted"
        help="Whoever can read the repository can then read the image."
        checked={unencrypted}
        onChange={setUnencrypted}
      />
    </FormDialog>
  );
}
