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
import { Time } from '../../components/format';
import { useMessages } from '../../components/messages';
import { useReadOnly } from '../../session/session';
import { rowAction } from '../../components/rowAction';

type Secret = Schemas['Secret'];

const columns: Column<Secret>[] = [
  { name: 'Name', cell: (s) => <span className="dormer-name">{s.name}</span>, sort: (s) => s.name },
  { name: 'Set', cell: (s) => <Time at={s.set} />, sort: (s) => s.set },
  { name: 'By', cell: (s) => <span className="dormer-name">{s.by}</span>, sort: (s) => s.by },
];

/** Secrets that workspaces name: they are left here and never shown again. */
export function Secrets() {
  const queries = useQueryClient();
  const say = useMessages();
  const readOnly = useReadOnly();
  const query = useQuery({ queryKey: ['secret'], queryFn: () => data(api.GET('/secrets')) });
  const [setting, setSetting] = useState<string>();
  const [removing, setRemoving] = useState<Secret>();
  const add = <ActionButton onClick={() => setSetting('')}>Leave a secret</ActionButton>;
  return (
    <Loaded query={query} what="secrets">
      {({ items }) => (
        <>
          <DataTable
            label="secrets"
            columns={columns}
            rows={items}
            id={(s) => s.name}
            text={(s) => `${s.name} ${s.by}`}
            searchKey="search"
            tools={add}
            name={(s) => s.name}
            actions={(s) => [
              rowAction('Replace', readOnly, () => setSetting(s.name)),
              { isSeparator: true },
              rowAction('Delete', readOnly, () => setRemoving(s)),
            ]}
            empty={
              <EmptyState titleText="The server keeps no secrets" headingLevel="h2">
                <EmptyStateBody>
                  A workspace that joins machines to a domain names one here, so that no password stands in its policy.
                </EmptyStateBody>
                <EmptyStateFooter>
                  <EmptyStateActions>{add}</EmptyStateActions>
                </EmptyStateFooter>
              </EmptyState>
            }
          />
          {setting !== undefined && <SetSecret name={setting} onClose={() => setSetting(undefined)} />}
          {removing && (
            <Confirm
              title={`Delete the secret ${removing.name}?`}
              verb="Delete"
              name={removing.name}
              act={async () => {
                await api.DELETE('/secrets/{name}', { params: { path: { name: removing.name } } });
                await queries.invalidateQueries({ queryKey: ['secret'] });
                say.done(`The secret ${removing.name} is deleted`);
              }}
              onClose={() => setRemoving(undefined)}
            >
              Setups of machines that need it fail from now on.
            </Confirm>
          )}
        </>
      )}
    </Loaded>
  );
}

function SetSecret({ name: known, onClose }: { name: string; onClose: () => void }) {
  const queries = useQueryClient();
  const say = useMessages();
  const [name, setName] = useState(known);
  const [value, setValue] = useState('');
  return (
    <FormDialog
      title={known === '' ? 'Leave a secret' : `Replace the secret ${known}`}
      says="It is kept encrypted and never shown again."
      verb="Leave it"
      act={async () => {
        await api.PUT('/secrets/{name}', { params: { path: { name } }, body: { value } });
        await queries.invalidateQueries({ queryKey: ['secret'] });
        say.done(`The secret ${name} is kept`);
      }}
      not={name === '' || value === '' ? 'Name and secret are needed' : undefined}
      onClose={onClose}
    >
      {known === '' && (
        <TextField
          label="Name"
          path="name"
          value={name}
          onChange={setName}
          isRequired
          help="Letters, digits, dots, hyphens and underscores."
        />
      )}
      <TextField
        label="Secret"
        path="value"
        type="password"
        value={value}
        onChange={setValue}
        isRequired
        autoComplete="off"
        help="One line of text."
      />
    </FormDialog>
  );
}
