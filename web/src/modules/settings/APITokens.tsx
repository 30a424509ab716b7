import { Content, FormGroup } from '@patternfly/react-core';
import { useState } from 'react';
import { api, data, type Schemas } from '../../api/client';
import type { Column } from '../../components/DataTable';
import { FormDialog } from '../../components/FormDialog';
import { CheckField, ChoiceField, TextField } from '../../components/inputs';
import { Time, ago } from '../../components/format';
import { wholeNumber } from './faults';
import { fullName } from './names';
import { Tokens, type MakeProps } from './Tokens';

type Token = Schemas['APIToken'];

const stateOf = (t: Token): string => {
  if (t.revoked !== undefined) return 'Revoked';
  return new Date(t.expires) < new Date() ? 'Expired' : 'Valid';
};

const columns: Column<Token>[] = [
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
  return (
    <Tokens
      kind="api-token"
      called="API token"
      aToken="an API token"
      list={() => data(api.GET('/api-tokens'))}
      revoke={(id) => api.DELETE('/api-tokens/{id}', { params: { path: { id } } })}
      stateOf={stateOf}
      columns={columns}
      text={(t) => `${fullName(t.owner)} ${t.areas.join(' ')}`}
      none={{
        title: 'No program has an API token',
        says: 'Everything that the console does, programs can do by the REST API.',
      }}
      Make={MakeToken}
      use={
        <Content component="p">
          Programs send it in the header <code>Authorization: Bearer TOKEN</code>. For the command line, put it into a
          file that only you can read, and name that with <code>--token-file</code>.
        </Content>
      }
      revoked="Programs that use it are refused from now on."
    />
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

function MakeToken({ title, onMade, onClose }: MakeProps) {
  const [name, setName] = useState('');
  const [role, setRole] = useState('read-only');
  const [chosen, setChosen] = useState<string[]>([]);
  const [days, setDays] = useState('90');
  return (
    <FormDialog
      title={title}
      says="It acts for you, with at most your role, and is worth nothing once you are no operator any more."
      verb="Make it"
      act={async () => {
        const body = {
          name,
          role,
          areas: chosen,
          lifetime_hours: wholeNumber(days, 'lifetime_hours', 1, mostDays) * hoursOfDay,
        };
        await onMade(await data(api.POST('/api-tokens', { body })));
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
