import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { FormDialog } from '../../components/FormDialog';
import { ChoiceField, TextField } from '../../components/inputs';
import { local, stateQuery } from './api';

const other = '';

/** Asks which server the console works with. Everything on the screen is of it, so the console begins anew. */
export function ServerChoice({ onClose }: { onClose: () => void }) {
  const queries = useQueryClient();
  const state = useQuery(stateQuery);
  const [picked, setPicked] = useState<string>();
  const [typed, setTyped] = useState('');
  const [ca, setCA] = useState('');
  const chosen = picked ?? state.data?.server?.url ?? other;
  const url = chosen === other ? typed.trim() : chosen;
  const act = async () => {
    await local.PUT('/server', { body: { url, ...(chosen === other && ca.trim() !== '' ? { ca } : {}) } });
    queries.clear();
    window.location.assign(new URL('.', document.baseURI).href);
  };
  return (
    <FormDialog
      title="Server"
      says="Everything in the console is of this server, and images are uploaded to it. Jobs that are under way go on with theirs."
      verb="Use it"
      act={act}
      onClose={onClose}
      not={url === '' ? 'Say which server first.' : undefined}
    >
      <ChoiceField
        label="Server"
        path="server"
        value={chosen}
        onChange={setPicked}
        choices={[
          ...(state.data?.servers ?? []).map((s) => ({
            value: s.url,
            name: s.user ? `${s.name}, as ${s.user}` : s.name,
          })),
          { value: other, name: 'Another one' },
        ]}
      />
      {chosen === other && (
        <>
          <TextField
            label="Address"
            path="url"
            value={typed}
            onChange={setTyped}
            isRequired
            placeholder="https://dormer.corp.example.test"
          />
          <TextField
            label="Certificate"
            path="ca"
            value={ca}
            onChange={setCA}
            lines={4}
            help="PEM, when the server's certificate comes from an authority that this computer does not know."
          />
        </>
      )}
    </FormDialog>
  );
}
