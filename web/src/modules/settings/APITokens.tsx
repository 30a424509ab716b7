import {
  Content,
  EmptyState,
  EmptyStateActions,
  EmptyStateBody,
  EmptyStateFooter,
  FormGroup,
  Label,
} from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, data, type Schemas } from '../../api/client';
import { ActionButton } from '../../components/ActionButton';
import { Confirm } from '../../components/Confirm';
import { DataTable, type Column } from '../../components/DataTable';
import { FormDialog } from '../../components/FormDialog';
import { CheckField, ChoiceField, TextField } from '../../components/inputs';
import { Loaded } from '../../components/Loaded';
import { ShownOnce } from '../../components/ShownOnce';
import { Time, ago } from '../../components/format';
import { useMessages } from '../../components/messages';
import { useReadOnly } from '../../session/session';
import { wholeNumber } from './faults';
import { fullName } from './names';
import { rowAction } from '../../components/rowAction';

type Token = Schemas['APIToken'];

const stateOf = (t: Token): string => {
  if (t.revoked !== undefined) return 'Revoked';
  return new Date(t.expires) < new Date() ? 'Expired' : 'Valid';
};

const columns: Column<Token>[] = [
  { name: 'Name', cell: (t) => <span className="dormer-name">{t.name}</span>, sort: (t) => t.name },
  {
    name: 'State',
    cell: (t) => <Label status={stateOf(t) === 'Valid' ? 'success' : undefined}>{stateOf(t)}</Label>,
    sort: stateOf,
  },
  {
    name: 'Owner',
    cell: (t) => <span className="dormer-name">{fullName(t.owner)}</span>,
    sort: (t) => fullName(t.owner),
  },
  { name: 'Role', cell: (t) => (t.role === 'full' ? 'Full' : 'Read-only'), sort: (t) => t.role },
  { name: 'Areas', cell: (t) => (t.areas.length === 0 ? 'All' : t.areas.join(', ')) },
  {
    name: 'Last used',
    cell: (t) => (t.last_used === undefined ? 'Never' : ago(t.last_used)),
    sort: (t) => t.last_used ?? '',
  },
  { name: 'Expires', cell: (t) => <Time at={t.expires} />, sort: (t) => t.expires },
];

/** What lets programs use the API. */
export function APITokens() {
  const queries = useQueryClient();
  const say = useMessages();
  const readOnly = useReadOnly();
  const query = useQuery({ queryKey: ['api-token'], queryFn: () => data(api.GET('/api-tokens')) });
  const [adding, setAdding] = useState(false);
  const [revoking, setRevoking] = useState<Token>();
  const [made, setMade] = useState<Schemas['APITokenCreated']>();
  const add = <ActionButton onClick={() => setAdding(true)}>Make an API token</ActionButton>;
  return (
    <Loaded query={query} what="API tokens">
      {({ items }) => (
        <>
          <DataTable
            label="API tokens"
            columns={columns}
            rows={items}
            id={(t) => t.id}
            text={(t) => `${t.name} ${fullName(t.owner)} ${t.areas.join(' ')} ${stateOf(t)}`}
            searchKey="search"
            tools={add}
            name={(t) => t.name}
            actions={(t) => [
              rowAction(
                'Revoke',
                readOnly ?? (stateOf(t) === 'Valid' ? undefined : `It is ${stateOf(t).toLowerCase()} already.`),
                () => setRevoking(t),
              ),
            ]}
            empty={
              <EmptyState titleText="No program has an API token" headingLevel="h2">
                <EmptyStateBody>Everything that the console does, programs can do by the REST API.</EmptyStateBody>
                <EmptyStateFooter>
                  <EmptyStateActions>{add}</EmptyStateActions>
                </EmptyStateFooter>
              </EmptyState>
            }
          />
          {adding && <MakeToken onMade={setMade} onClose={() => setAdding(false)} />}
          {made && (
            <ShownOnce title={`API token ${made.name}`} text={made.token} onClose={() => setMade(undefined)}>
              <Content component="p">
                Programs send it in the header <code>Authorization: Bearer TOKEN</code>. For the command line, put it
                into a file that only you can read, and name that with <code>--token-file</code>.
              </Content>
            </ShownOnce>
          )}
          {revoking && (
            <Confirm
              title={`Revoke the API token ${revoking.name}?`}
              verb="Revoke"
              act={async () => {
                await api.DELETE('/api-tokens/{id}', { params: { path: { id: revoking.id } } });
                await queries.invalidateQueries({ queryKey: ['api-token'] });
                say.done(`The API token ${revoking.name} is revoked`);
              }}
              onClose={() => setRevoking(undefined)}
            >
              Programs that use it are refused from now on.
            </Confirm>
          )}
        </>
      )}
    </Loaded>
  );
}

/** The parts of the API that a token may be confined to. */
const areas = [
  { area: 'workspaces', says: 'Workspaces, their grants and their history.' },
  { area: 'directory', says: 'Users and groups.' },
  { area: 'access', says: 'Operators, API tokens, secrets and sessions.' },
  { area: 'clients', says: 'Clients, machines, orders and join tokens.' },
  { area: 'images', says: 'Images and publishers.' },
  { area: 'reports', says: 'Reports, alerts, plans and the audit log.' },
];

const hoursOfDay = 24;
const mostDays = 365;

function MakeToken({ onMade, onClose }: { onMade: (t: Schemas['APITokenCreated']) => void; onClose: () => void }) {
  const queries = useQueryClient();
  const [name, setName] = useState('');
  const [role, setRole] = useState('read-only');
  const [chosen, setChosen] = useState<string[]>([]);
  const [days, setDays] = useState('90');
  return (
    <FormDialog
      title="Make an API token"
      says="It acts for you, with at most your role, and is worth nothing once you are no operator any more."
      verb="Make it"
      act={async () => {
        const body = {
          name,
          role,
          areas: chosen,
          lifetime_hours: wholeNumber(days, 'lifetime_hours', 1, mostDays) * hoursOfDay,
        };
        onMade(await data(api.POST('/api-tokens', { body })));
        await queries.invalidateQueries({ queryKey: ['api-token'] });
      }}
      onClose={onClose}
    >
      <TextField
        label="Name"
        path="name"
        value={name}
        onChange={setName}
        isRequired
        help="What it is for, as: nightly export."
      />
      <ChoiceField
        label="Role"
        path="role"
        value={role}
        onChange={setRole}
        choices={[
          { value: 'read-only', name: 'Read-only' },
          { value: 'full', name: 'Full' },
        ]}
      />
      <FormGroup label="Parts of the API (none chosen: all)" role="group" isStack>
        {areas.map(({ area, says }) => (
          <CheckField
            key={area}
            label={area}
            help={says}
            checked={chosen.includes(area)}
            onChange={(on) => setChosen((all) => (on ? [...all, area] : all.filter((x) => x !== area)))}
          />
        ))}
      </FormGroup>
      <TextField
        label="Valid for days"
        path="lifetime_hours"
        type="number"
        value={days}
        onChange={setDays}
        help="At most 365."
      />
    </FormDialog>
  );
}
