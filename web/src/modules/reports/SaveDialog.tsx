import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client';
import { FormDialog } from '../../components/FormDialog';
import { CheckField, TextField } from '../../components/inputs';
import { useMessages } from '../../components/messages';
import type { Kind, Query } from '../../report/query';
import { folded, replaced, savedReports, taken } from './savedReports';

interface Props {
  kind: Kind;
  query: Query;
  /** The saved report that gets another name or description; absent: a new one is saved. */
  old?: { name: string; description: string };
  onClose: () => void;
}

/** Gives a report with its filters a name, or another one. What has the name already is replaced when one says so. */
export function SaveDialog({ kind, query, old, onClose }: Props) {
  const [name, setName] = useState(old?.name ?? '');
  const [description, setDescription] = useState(old?.description ?? '');
  const [agreed, setAgreed] = useState<string>();
  const client = useQueryClient();
  const { done } = useMessages();
  const saved = useQuery(savedReports);
  const called = name.trim();
  const other = replaced(saved.data?.items ?? [], called, old?.name);
  const act = async () => {
    // Somebody may have saved one under the name since this was opened.
    const now = replaced((await client.fetchQuery({ ...savedReports, staleTime: 0 })).items, called, old?.name);
    if (now && now.name !== agreed) throw taken(now);
    await api.PUT('/reports/saved/{name}', {
      params: { path: { name: called } },
      body: { report: kind, description, query },
    });
    if (old && folded(old.name) !== folded(called)) {
      await api.DELETE('/reports/saved/{name}', { params: { path: { name: old.name } } });
    }
    await client.invalidateQueries({ queryKey: savedReports.queryKey });
    done(`Saved as ${called}`);
  };
  return (
    <FormDialog
      title={old ? `Rename ${old.name}` : 'Save this report'}
      says="Every operator finds it under this name."
      verb={old ? 'Rename' : 'Save'}
      act={act}
      onClose={onClose}
      not={called === '' ? 'It needs a name.' : undefined}
    >
      <TextField label="Name" path="name" value={name} onChange={setName} isRequired />
      <TextField label="What it is for" path="description" value={description} onChange={setDescription} />
      {other && (
        <CheckField
          label={`Replace ${other.name}, saved by ${other.changed_by}`}
          help="What that report asked for is gone then."
          checked={agreed === other.name}
          onChange={(yes) => setAgreed(yes ? other.name : undefined)}
        />
      )}
    </FormDialog>
  );
}
