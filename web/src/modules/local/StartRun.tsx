import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { api, data } from '../../api/client';
import { FormDialog } from '../../components/FormDialog';
import { ChoiceField } from '../../components/inputs';
import { local } from './api';

/** Asks under which policy a test image runs, and starts it. */
export function StartRun({ test, onClose }: { test: string; onClose: () => void }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [workspace, setWorkspace] = useState('');
  const workspaces = useQuery({ queryKey: ['workspace'], queryFn: () => data(api.GET('/workspaces')) });
  const act = async () => {
    const { id } = await data(local.POST('/runs', { body: { test, ...(workspace === '' ? {} : { workspace }) } }));
    await Promise.all([
      queries.invalidateQueries({ queryKey: ['local-run'] }),
      queries.invalidateQueries({ queryKey: ['local-image'] }),
    ]);
    void navigate(`/local/runs/${id}`);
  };
  return (
    <FormDialog
      title={`Test ${test}`}
      says="A machine of this computer starts from the disk. What the guest writes is thrown away in the end: the disk stays as it is."
      verb="Start"
      act={act}
      onClose={onClose}
    >
      <ChoiceField
        label="Workspace"
        path="workspace"
        value={workspace}
        onChange={setWorkspace}
        choices={[
          { value: '', name: 'None: nothing is allowed but the network' },
          ...(workspaces.data?.items ?? []).map((w) => ({ value: w.name, name: w.name })),
        ]}
        help="Its policy holds, with all grants."
      />
    </FormDialog>
  );
}
