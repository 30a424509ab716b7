import {
  Content,
  EmptyState,
  EmptyStateActions,
  EmptyStateBody,
  EmptyStateFooter,
  Label,
} from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, data, type Schemas } from '../../api/client';
import { ActionButton } from '../../components/ActionButton';
import { Confirm } from '../../components/Confirm';
import { DataTable, type Column } from '../../components/DataTable';
import { FormDialog } from '../../components/FormDialog';
import { CheckField, TextField } from '../../components/inputs';
import { Loaded } from '../../components/Loaded';
import { ShownOnce } from '../../components/ShownOnce';
import { Time, ago } from '../../components/format';
import { useMessages } from '../../components/messages';
import { useReadOnly } from '../../session/session';
import { fault, wholeNumber } from './faults';
import { rowAction } from '../../components/rowAction';

type Token = Schemas['JoinToken'];

const stateOf = (t: Token): string => {
  if (t.revoked) return 'Revoked';
  if (new Date(t.expires) < new Date()) return 'Expired';
  return t.uses >= t.max_uses ? 'Used up' : 'Valid';
};

/** The most that the server takes. */
const mostUses = 1_000_000;
const mostHours = 366 * 24;

const whyNoRevoke = (t: Token): string => `No computer can join with it any more: ${stateOf(t).toLowerCase()}.`;

const admits = (t: Token): string =>
  [t.managed ? 'managed' : '', t.unmanaged ? 'unmanaged' : ''].filter((x) => x !== '').join(' and ');

const columns: Column<Token>[] = [
  { name: 'Name', cell: (t) => <span className="dormer-name">{t.name}</span>, sort: (t) => t.name },
  {
    name: 'State',
    cell: (t) => <Label status={stateOf(t) === 'Valid' ? 'success' : undefined}>{stateOf(t)}</Label>,
    sort: (t) => stateOf(t),
  },
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
  const queries = useQueryClient();
  const say = useMessages();
  const readOnly = useReadOnly();
  const query = useQuery({ queryKey: ['join-token'], queryFn: () => data(api.GET('/join-tokens')) });
  const [adding, setAdding] = useState(false);
  const [revoking, setRevoking] = useState<Token>();
  const [made, setMade] = useState<Schemas['JoinTokenCreated']>();
  const add = <ActionButton onClick={() => setAdding(true)}>Make a join token</ActionButton>;
  return (
    <Loaded query={query} what="join tokens">
      {({ items }) => (
        <>
          <DataTable
            label="join tokens"
            columns={columns}
            rows={items}
            id={(t) => t.id}
            text={(t) => `${t.name} ${t.by} ${stateOf(t)}`}
            searchKey="search"
            sorted={{ column: 5, direction: 'desc' }}
            tools={add}
            name={(t) => t.name}
            actions={(t) => [
              rowAction('Revoke', readOnly ?? (stateOf(t) === 'Valid' ? undefined : whyNoRevoke(t)), () =>
                setRevoking(t),
              ),
            ]}
            empty={
              <EmptyState titleText="No computer can join yet" headingLevel="h2">
                <EmptyStateBody>A join token lets a number of computers become clients within a time.</EmptyStateBody>
                <EmptyStateFooter>
                  <EmptyStateActions>{add}</EmptyStateActions>
                </EmptyStateFooter>
              </EmptyState>
            }
          />
          {adding && <MakeToken onMade={setMade} onClose={() => setAdding(false)} />}
          {made && (
            <ShownOnce title={`Join token ${made.name}`} text={made.token} onClose={() => setMade(undefined)}>
              <Content component="p">On each computer, with the token in a file that only root can read:</Content>
              <Content component="pre">dormer enrol --token-file token</Content>
            </ShownOnce>
          )}
          {revoking && (
            <Confirm
              title={`Revoke the join token ${revoking.name}?`}
              verb="Revoke"
              act={async () => {
                await api.DELETE('/join-tokens/{id}', { params: { path: { id: revoking.id } } });
                await queries.invalidateQueries({ queryKey: ['join-token'] });
                say.done(`The join token ${revoking.name} is revoked`);
              }}
              onClose={() => setRevoking(undefined)}
            >
              No computer joins with it any more. Those that did stay clients.
            </Confirm>
          )}
        </>
      )}
    </Loaded>
  );
}

function MakeToken({ onMade, onClose }: { onMade: (t: Schemas['JoinTokenCreated']) => void; onClose: () => void }) {
  const queries = useQueryClient();
  const [name, setName] = useState('');
  const [managed, setManaged] = useState(true);
  const [unmanaged, setUnmanaged] = useState(false);
  const [uses, setUses] = useState('1');
  const [hours, setHours] = useState('24');
  const [url, setURL] = useState('');
  return (
    <FormDialog
      title="Make a join token"
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
        onMade(await data(api.POST('/join-tokens', { body })));
        await queries.invalidateQueries({ queryKey: ['join-token'] });
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
