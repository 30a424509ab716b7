import { EmptyState, EmptyStateActions, EmptyStateBody, EmptyStateFooter } from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, data, type Schemas } from '../../api/client';
import { ActionButton } from '../../components/ActionButton';
import { Confirm } from '../../components/Confirm';
import { DataTable, type Column } from '../../components/DataTable';
import { FormDialog } from '../../components/FormDialog';
import { TextField } from '../../components/inputs';
import { Loaded } from '../../components/Loaded';
import { useMessages } from '../../components/messages';
import { useReadOnly } from '../../session/session';
import { publicKey, unlessExists } from './faults';
import { rowAction } from '../../components/rowAction';

type Publisher = Schemas['Publisher'];

const columns: Column<Publisher>[] = [
  { name: 'Name', cell: (p) => <span className="dormer-name">{p.name}</span>, sort: (p) => p.name },
  { name: 'Key', cell: (p) => <code>{p.id}</code> },
];

/** Keys whose images this instance trusts. */
export function Publishers() {
  const queries = useQueryClient();
  const say = useMessages();
  const readOnly = useReadOnly();
  const query = useQuery({ queryKey: ['publisher'], queryFn: () => data(api.GET('/publishers')) });
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Publisher>();
  const add = <ActionButton onClick={() => setAdding(true)}>Trust a publisher</ActionButton>;
  return (
    <Loaded query={query} what="publishers">
      {({ items }) => (
        <>
          <DataTable
            label="publishers"
            columns={columns}
            rows={items}
            id={(p) => p.id}
            text={(p) => `${p.name} ${p.id}`}
            searchKey="search"
            tools={add}
            name={(p) => p.name}
            actions={(p) => [rowAction('Trust no more', readOnly, () => setRemoving(p))]}
            empty={
              <EmptyState titleText="Nobody's images are trusted yet" headingLevel="h2">
                <EmptyStateBody>
                  Images are signed. <code>dormer publisher create NAME</code> makes your key and has this server trust
                  it.
                </EmptyStateBody>
                <EmptyStateFooter>
                  <EmptyStateActions>{add}</EmptyStateActions>
                </EmptyStateFooter>
              </EmptyState>
            }
          />
          {adding && <AddPublisher onClose={() => setAdding(false)} />}
          {removing && (
            <Confirm
              title={`Trust ${removing.name} no more?`}
              verb="Trust no more"
              name={removing.name}
              act={async () => {
                await api.DELETE('/publishers/{id}', { params: { path: { id: removing.id } } });
                await queries.invalidateQueries({ queryKey: ['publisher'] });
                say.done(`${removing.name} is trusted no more`);
              }}
              onClose={() => setRemoving(undefined)}
            >
              Clients refuse images that this key signed, those that they have already too, from their next poll on.
            </Confirm>
          )}
        </>
      )}
    </Loaded>
  );
}

function AddPublisher({ onClose }: { onClose: () => void }) {
  const queries = useQueryClient();
  const say = useMessages();
  const [name, setName] = useState('');
  const [key, setKey] = useState('');
  return (
    <FormDialog
      title="Trust a publisher"
      verb="Trust"
      act={async () => {
        await unlessExists(
          'key',
          'is trusted already',
          api.POST('/publishers', { body: { name, key: publicKey(key, 'key') } }),
        );
        await queries.invalidateQueries({ queryKey: ['publisher'] });
        say.done(`${name} is trusted`);
      }}
      onClose={onClose}
    >
      <TextField label="Name" path="name" value={name} onChange={setName} isRequired />
      <TextField
        label="Public key"
        path="key"
        value={key}
        onChange={setKey}
        isRequired
        lines={2}
        help="Ed25519, 32 bytes in base64, as 'dormer publisher list --json' prints it."
      />
    </FormDialog>
  );
}
