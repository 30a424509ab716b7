import { Alert, Button, Content, EmptyState, EmptyStateBody, FormGroup, Label } from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, data, type Schemas } from '../../api/client';
import { ActionButton } from '../../components/ActionButton';
import { Confirm } from '../../components/Confirm';
import { DataTable, type Column } from '../../components/DataTable';
import { FormDialog } from '../../components/FormDialog';
import { ChoiceField } from '../../components/inputs';
import { Loaded } from '../../components/Loaded';
import { PrincipalPicker } from '../../components/PrincipalPicker';
import { useMessages } from '../../components/messages';
import { useReadOnly } from '../../session/session';
import { fullName } from './names';

type Operator = Schemas['Operator'];
type Principal = Operator['principal'];
type Role = 'read-only' | 'full' | '';

const roles = [
  { value: 'read-only', name: 'Read-only: sees everything, changes nothing' },
  { value: 'full', name: 'Full: changes everything, operators too' },
];

const columns: Column<Operator>[] = [
  {
    name: 'Name',
    cell: (o) => <span className="dormer-name">{fullName(o.principal)}</span>,
    sort: (o) => fullName(o.principal),
  },
  { name: 'Kind', cell: (o) => o.principal.kind, sort: (o) => o.principal.kind },
  {
    name: 'Role',
    cell: (o) => <Label color={o.role === 'full' ? 'orange' : 'blue'}>{o.role}</Label>,
    sort: (o) => o.role,
  },
  { name: 'In the directory', cell: (o) => <Found operator={o} />, sort: (o) => o.state ?? '' },
];

function Found({ operator: { state, name } }: { operator: Operator }) {
  if (state === 'gone') return <Label status="danger">Gone</Label>;
  if (state === 'renamed') return <Label status="warning">{`Renamed to ${name ?? '?'}`}</Label>;
  if (state === 'unknown') return <Label status="warning">The directory does not answer</Label>;
  return <>Found</>;
}

/** Who may administer: users and groups with their roles. */
export function Operators() {
  const queries = useQueryClient();
  const say = useMessages();
  const readOnly = useReadOnly();
  const query = useQuery({ queryKey: ['operator'], queryFn: () => data(api.GET('/operators')) });
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Operator>();

  const set = async (p: Principal, role: Role) => {
    await api.PUT('/operators', { body: { kind: p.kind, name: fullName(p), role } });
    await queries.invalidateQueries({ queryKey: ['operator'] });
  };
  const change = (o: Operator, role: Role) => {
    set(o.principal, role).then(
      () => say.done(`${o.principal.name} is ${role} now`),
      (thrown: unknown) => say.failed(`The role of ${o.principal.name} was not changed`, thrown),
    );
  };
  return (
    <Loaded query={query} what="operators">
      {({ items }) => (
        <>
          <Content component="p">Whoever is in a group has the highest role of all their groups and their own.</Content>
          <DataTable
            label="operators"
            columns={columns}
            rows={items}
            id={(o) => `${o.principal.kind} ${fullName(o.principal)}`}
            text={(o) => `${fullName(o.principal)} ${o.role}`}
            tools={<ActionButton onClick={() => setAdding(true)}>Add an operator</ActionButton>}
            actions={(o) => [
              {
                title: o.role === 'full' ? 'Make read-only' : 'Make full',
                isDisabled: readOnly !== undefined,
                onClick: () => change(o, o.role === 'full' ? 'read-only' : 'full'),
              },
              { title: 'Take the role away', isDisabled: readOnly !== undefined, onClick: () => setRemoving(o) },
            ]}
            empty={
              <EmptyState titleText="There are no operators" headingLevel="h2">
                <EmptyStateBody>Only whoever made the instance can get in.</EmptyStateBody>
              </EmptyState>
            }
          />
          {adding && <AddOperator set={set} onClose={() => setAdding(false)} />}
          {removing && (
            <Confirm
              title={`Take the role from ${removing.principal.name}?`}
              verb="Take it away"
              act={async () => {
                await set(removing.principal, '');
                say.undoable(`${removing.principal.name} has no role any more`, () =>
                  change(removing, removing.role as Role),
                );
              }}
              onClose={() => setRemoving(undefined)}
            >
              They cannot sign in to the console any more, unless a group of theirs has a role. Sessions that are open
              end.
            </Confirm>
          )}
        </>
      )}
    </Loaded>
  );
}

function AddOperator({ set, onClose }: { set: (p: Principal, role: Role) => Promise<void>; onClose: () => void }) {
  const say = useMessages();
  const [who, setWho] = useState<Principal>();
  const [role, setRole] = useState<Role>('read-only');
  return (
    <FormDialog
      title="Add an operator"
      verb="Add"
      not={who ? undefined : 'Choose somebody first'}
      act={async () => {
        if (!who) return;
        await set(who, role);
        say.done(`${who.name} is an operator now: ${role}`);
      }}
      onClose={onClose}
    >
      {who ? (
        <FormGroup label="User or group">
          <span className="dormer-name">{fullName(who)}</span>{' '}
          <Button variant="link" onClick={() => setWho(undefined)}>
            Choose another
          </Button>
        </FormGroup>
      ) : (
        <PrincipalPicker kinds={['user', 'group']} label="User or group" onPick={setWho} />
      )}
      <ChoiceField label="Role" path="role" value={role} onChange={(r) => setRole(r as Role)} choices={roles} />
      {role === 'full' && (
        <Alert isInline variant="warning" title="Who has the full role can give it to others and take it from you." />
      )}
    </FormDialog>
  );
}
