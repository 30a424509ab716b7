import { EmptyState, EmptyStateActions, EmptyStateBody, EmptyStateFooter, Label } from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, data, type Schemas } from '../../api/client';
import { ActionButton } from '../../components/ActionButton';
import { Confirm } from '../../components/Confirm';
import { DataTable, type Column } from '../../components/DataTable';
import { Loaded } from '../../components/Loaded';
import { ShownOnce } from '../../components/ShownOnce';
import { Time } from '../../components/format';
import { useMessages } from '../../components/messages';
import { useReadOnly, useSession } from '../../session/session';
import { rowAction } from '../../components/rowAction';
import { UserDialog, PasswordDialog } from './UserDialogs';

type User = Schemas['User'];

const columns: Column<User>[] = [
  { name: 'Name', cell: (u) => <span className="dormer-name">{u.name}</span>, sort: (u) => u.name },
  {
    name: 'Full name',
    cell: (u) => <span className="dormer-name">{u.display_name}</span>,
    sort: (u) => u.display_name ?? '',
  },
  { name: 'State', cell: (u) => <State user={u} />, sort: (u) => stateOf(u) },
  {
    name: 'Expires',
    cell: (u) => <Expiry at={u.expires} />,
    sort: (u) => u.expires ?? '9',
  },
  { name: 'Created', cell: (u) => <Time at={u.created} />, sort: (u) => u.created },
];

/** When somebody's time ends: days are entered in UTC, and shown as they were entered. */
function Expiry({ at }: { at: string | undefined }) {
  if (at === undefined) return <>Never</>;
  return at.endsWith('T00:00:00Z') ? <>{`${at.slice(0, 10)} (UTC)`}</> : <Time at={at} />;
}

const stateOf = (u: User): string => {
  if (u.disabled) return 'Disabled';
  if (u.expires !== undefined && new Date(u.expires) < new Date()) return 'Expired';
  return u.must_change ? 'Must change the password' : 'Active';
};

function State({ user }: { user: User }) {
  const state = stateOf(user);
  if (state === 'Active') return <>{state}</>;
  return <Label status={state === 'Disabled' || state === 'Expired' ? 'warning' : 'info'}>{state}</Label>;
}

/** The users of the embedded directory. */
export function Users() {
  const queries = useQueryClient();
  const say = useMessages();
  const readOnly = useReadOnly();
  const query = useQuery({ queryKey: ['user'], queryFn: () => data(api.GET('/directory/users')) });
  const [adding, setAdding] = useState(false);
  const [changing, setChanging] = useState<User>();
  /** How often what was entered gave way to what others changed. */
  const [round, setRound] = useState(0);
  const [renewing, setRenewing] = useState<User>();
  const [removing, setRemoving] = useState<User>();
  const [ending, setEnding] = useState<User>();
  const [made, setMade] = useState<{ name: string; password: string }>();
  const again = () => queries.invalidateQueries({ queryKey: ['user'] });

  const able = async (u: User, disabled: boolean) => {
    await api.PATCH('/directory/users/{id}', { params: { path: { id: u.id } }, body: { disabled } });
    await again();
  };
  const toggle = (u: User) => {
    const verb = u.disabled ? 'enabled' : 'disabled';
    able(u, !u.disabled).then(
      () => say.undoable(`${u.name} is ${verb}`, () => toggle({ ...u, disabled: !u.disabled })),
      (thrown: unknown) => say.failed(`${u.name} was not ${verb}`, thrown),
    );
  };
  const add = <ActionButton onClick={() => setAdding(true)}>Add a user</ActionButton>;
  const { session } = useSession();
  const isOwn = (u: User) => session.principal.directory === 'local' && session.principal.key === u.id;
  return (
    <Loaded query={query} what="users">
      {({ items }) => (
        <>
          <DataTable
            label="users"
            columns={columns}
            rows={items}
            id={(u) => u.id}
            text={(u) => `${u.name} ${u.display_name ?? ''} ${stateOf(u)}`}
            searchKey="search"
            tools={add}
            name={(u) => u.name}
            actions={(u) => [
              rowAction('Change', readOnly, () => setChanging(u)),
              rowAction('Set a new password', readOnly, () => setRenewing(u)),
              rowAction(
                u.disabled ? 'Enable' : 'Disable',
                readOnly ?? (isOwn(u) ? 'This is you: another operator can disable you.' : undefined),
                () => toggle(u),
              ),
              rowAction('End all sessions', readOnly, () => setEnding(u)),
              { isSeparator: true },
              rowAction(
                'Remove',
                readOnly ?? (isOwn(u) ? 'This is you: another operator can remove you.' : undefined),
                () => setRemoving(u),
              ),
            ]}
            empty={
              <EmptyState titleText="The embedded directory has no users" headingLevel="h2">
                <EmptyStateBody>Add some here, or connect a directory that has them.</EmptyStateBody>
                <EmptyStateFooter>
                  <EmptyStateActions>{add}</EmptyStateActions>
                </EmptyStateFooter>
              </EmptyState>
            }
          />
          {(adding || changing) && (
            <UserDialog
              key={round}
              user={changing}
              onTake={() => {
                setChanging(items.find((u) => u.id === changing?.id));
                setRound(round + 1);
              }}
              onMade={(name, password) => setMade({ name, password })}
              onClose={() => {
                setAdding(false);
                setChanging(undefined);
                void again();
              }}
            />
          )}
          {renewing && (
            <PasswordDialog
              user={renewing}
              onMade={(name, password) => setMade({ name, password })}
              onClose={() => {
                setRenewing(undefined);
                void again();
              }}
            />
          )}
          {made && (
            <ShownOnce title={`Password of ${made.name}`} text={made.password} onClose={() => setMade(undefined)}>
              Give it to <span className="dormer-name">{made.name}</span> in person, or in another way that nobody else
              reads.
            </ShownOnce>
          )}
          {ending && (
            <Confirm
              title={`End all sessions of ${ending.name}?`}
              verb="End them"
              act={async () => {
                await api.POST('/sessions/end', { body: { user: `local\\${ending.name}` } });
                say.done(`All sessions of ${ending.name} have ended`);
              }}
              onClose={() => setEnding(undefined)}
            >
              They must sign in again, in the console and on every client.
            </Confirm>
          )}
          {removing && (
            <Confirm
              title={`Remove ${removing.name}?`}
              verb="Remove"
              name={removing.name}
              act={async () => {
                await api.DELETE('/directory/users/{id}', { params: { path: { id: removing.id } } });
                await again();
                say.done(`${removing.name} is removed`);
              }}
              onClose={() => setRemoving(undefined)}
            >
              Grants that name this user give nothing any more. One who is added later under the same name is somebody
              else.
            </Confirm>
          )}
        </>
      )}
    </Loaded>
  );
}
