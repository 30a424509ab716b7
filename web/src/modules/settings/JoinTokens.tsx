import { Content } from '@patternfly/react-core';
import { useState } from 'react';
import { api, data, type Schemas } from '../../api/client';
import type { Column } from '../../components/DataTable';
import { FormDialog } from '../../components/FormDialog';
import { CheckField, TextField } from '../../components/inputs';
import { Time, ago } from '../../components/format';
import { fault, wholeNumber } from './faults';
import { Tokens, type MakeProps } from './Tokens';

type Token = Schemas['JoinToken'];

const stateOf = (t: Token): string => {
  if (t.revoked) return 'Revoked';
  if (new Date(t.expires) < new Date()) return 'Expired';
  return t.uses >= t.max_uses ? 'Used up' : 'Valid';
};

/** The most that the server takes. */
const mostUses = 1_000_000;
const mostHours = 366 * 24;

const admits = (t: Token): string =>
  [t.managed ? 'managed' : '', t.unmanaged ? 'unmanaged' : ''].filter((x) => x !== '').join(' and ');

const columns: Column<Token>[] = [
  { name: 'Admits', cell: admits, sort: admits },
  { name: 'Used', cell: (t) => `${t.uses} of ${t.max_uses}`, sort: (t) => t.uses },
  { name: 'Expires', cell: (t) => <Time at={t.expires} />, sort: (t) => t.expires },
  {
    name: 'Made by',
    cell: (t) => <span className="dormer-name">{`${t.by}, ${ago(t.created)}`}</span>,
    sort: (t) => t.created,
  },
];

/** What admits computers as clients. */
export function JoinTokens() {
  return (
    <Tokens
      kind="join-token"
      called="join token"
      aToken="a join token"
      list={() => data(api.GET('/join-tokens'))}
      revoke={(id) => api.DELETE('/join-tokens/{id}', { params: { path: { id } } })}
      stateOf={stateOf}
      columns={columns}
      sorted={{ column: 5, direction: 'desc' }}
      text={(t) => t.by}
      none={{
        title: 'No computer can join yet',
        says: 'A join token lets a number of computers become clients within a time.',
      }}
      Make={MakeToken}
      use={
        <>
          <Content component="p">On each computer, with the token in a file that only root can read:</Content>
          <Content component="pre">{'sudo dormer enrol < token'}</Content>
        </>
      }
      revoked="No computer joins with it any more. Those that did stay clients."
    />
  );
}

function MakeToken({ title, onMade, onClose }: MakeProps) {
  const [name, setName] = useState('');
  const [managed, setManaged] = useState(true);
  const [unmanaged, setUnmanaged] = useState(false);
  const [uses, setUses] = useState('1');
  const [hours, setHours] = useState('24');
  const [url, setURL] = useState('');
  return (
    <FormDialog
      title={title}
      verb="Make it"
      act={async () => {
        if (!managed && !unmanaged) throw fault('', 'Choose managed clients, unmanaged clients, or both.');
        const body = {
          name,
          managed,
          unmanaged,
          max_uses: wholeNumber(uses, 'max_uses', 1, mostUses),
          lifetime_hours: wholeNumber(hours, 'lifetime_hours', 1, mostHours),
          ...(url === '' ? {} : { url }),
        };
        await onMade(await data(api.POST('/join-tokens', { body })));
      }}
      onClose={onClose}
    >
      <TextField
        label="Name"
        path="name"
        value={name}
        onChange={setName}
        isRequired
        help="What it is for, as: laptops of the sales team."
      />
      <CheckField
        label="Managed clients"
        help="Agents that run as a service of the computer."
        checked={managed}
        onChange={setManaged}
      />
      <CheckField
        label="Unmanaged clients"
        help="Agents that one user runs for themselves."
        checked={unmanaged}
        onChange={setUnmanaged}
      />
      <TextField label="How many computers" path="max_uses" type="number" value={uses} onChange={setUses} />
      <TextField label="Valid for hours" path="lifetime_hours" type="number" value={hours} onChange={setHours} />
      <TextField
        label="Server's address"
        path="url"
        value={url}
        onChange={setURL}
        help="Under which these computers reach the server; empty: the first of the configuration."
      />
    </FormDialog>
  );
}
