import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client';
import { FormDialog } from '../../components/FormDialog';
import { TextField } from '../../components/inputs';
import { useMessages } from '../../components/messages';
import type { Kind, Query } from './query';

interface Props {
  kind: Kind;
  query: Query;
  /** The saved report that gets another name or description; absent: a new one is saved. */
  old?: { name: string; description: string };
  onClose: () => void;
}

/** Gives a report with its filters a name, or another one. */
export function SaveDialog({ kind, query, old, onClose }: Props) {
  const [name, setName] = useState(old?.name ?? '');
  const [description, setDescription] = useState(old?.description ?? '');
  const client = useQueryClient();
  const { done } = useMessages();
  const act = async () => {
    const called = name.trim();
    await api.PUT('/reports/saved/{name}', {
      params: { path: { name: called } },
      body: { report: kind, description, query },
    });
    if (old && old.name.toLowerCase() !== called.toLowerCase()) {
      await api.DELETE('/reports/saved/{name}', { params: { path: { name: old.name } } });
    }
    await client.invalidateQueries({ queryKey: ['report', 'saved'] });
    done(`Saved as ${called}`);
  };
  return (
    <FormDialog
      title={old ? `Rename ${old.name}` : 'Save this report'}
      says="Every operator finds it under this name. A report that has the name already is replaced."
      verb={old ? 'Rename' : 'Save'}
      act={act}
      onClose={onClose}
      not={name.trim() === '' ? 'It needs a name.' : undefined}
    >
      <TextField label="Name" path="name" value={name} onChange={setName} isRequired />
      <TextField label="What it is for" path="description" value={description} onChange={setDescription} />
    </FormDialog>
  );
}
