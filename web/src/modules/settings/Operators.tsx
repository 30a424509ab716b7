import { Alert, Content, EmptyState, EmptyStateBody, Label, Stack, StackItem } from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, data, type Schemas } from '../../api/client';
import { ActionButton } from '../../components/ActionButton';
import { Confirm } from '../../components/Confirm';
import { DataTable, type Column } from '../../components/DataTable';
import { FormDialog } from '../../components/FormDialog';
import { ChoiceField } from '../../components/inputs';
import { Loaded } from '../../components/Loaded';
import { useMessages } from '../../components/messages';
import { useReadOnly, useSession } from '../../session/session';
import { exactName, fullName, isSame } from './names';
import { rowAction } from '../../components/rowAction';
import { WhoField } from './WhoField';

type Operator = Schemas['Operator'];
type Principal = Operator['principal'];
type Role = 'read-only' | 'full' | '';

const roles = [
  { value: 'read-only', name: 'Read-only: sees everything, changes nothing' },
  { value: 'full', name: 'Full: changes everything, operators too' },
];

const roleName = (role: string): string => (role === 'full' ? 'Full' : 'Read-only');
const kindOf = (p: Principal): string => (p.kind === 'group' ? 'Group' : 'User');

const columns: Column<Operator>[] = [
  {
    name: 'Name',
    cell: (o) => <span className="dormer-name">{fullName(o.principal)}</span>,
    sort: (o) => fullName(o.principal),
  },
  { name: 'Kind', cell: (o) => kindOf(o.principal), sort: (o) => kindOf(o.principal) },
  {
    name: 'Role',
    cell: (o) => <Label color={o.role === 'full' ? 'orange' : 'blue'}>{roleName(o.role)}</Label>,
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
  const { session } = useSession();
  const [removing, setRemoving] = useState<Operator>();
  const [lowering, setLowering] = useState<Operator>();

  const set = async (p: Principal, role: Role) => {
    await api.PUT('/operators', { body: { kind: p.kind, name: exactName(p), role } });
    await queries.invalidateQueries({ queryKey: ['operator'] });
  };
  const change = (o: Operator, role: Role) => {
    set(o.principal, role).then(
      () => say.done(`${o.principal.name} has the role ${roleName(role).toLowerCase()} now`),
      (thrown: unknown) => say.failed(`The role of ${o.principal.name} was not changed`, thrown),
    );
  };
  // Who lowers the own role cannot raise it again: that is asked first.
  const toggle = (o: Operator) => {
    if (o.role !== 'full') change(o, 'full');
    else if (isSame(o.principal, session.principal) || o.principal.kind === 'group') setLowering(o);
    else change(o, 'read-only');
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
            text={(o) => `${fullName(o.principal)} ${roleName(o.role)} ${kindOf(o.principal)}`}
            searchKey="search"
            tools={<ActionButton onClick={() => setAdding(true)}>Add an operator</ActionButton>}
            name={(o) => fullName(o.principal)}
            actions={(o) => [
              rowAction(o.role === 'full' ? 'Make read-only' : 'Make full', readOnly, () => toggle(o)),
              rowAction('Take the role away', readOnly, () => setRemoving(o)),
            ]}
            empty={
              <EmptyState titleText="There are no operators" headingLevel="h2">
                <EmptyStateBody>Users and groups that are operators are listed here.</EmptyStateBody>
              </EmptyState>
            }
          />
          {adding && <AddOperator set={set} onClose={() => setAdding(false)} />}
          {lowering && (
            <Confirm
              title={`Make ${lowering.principal.name} read-only?`}
              verb="Make read-only"
              act={async () => {
                await set(lowering.principal, 'read-only');
                say.done(`${lowering.principal.name} has the role read-only now`);
              }}
              onClose={() => setLowering(undefined)}
            >
              <OwnRole of={lowering.principal} own={session.principal} />
            </Confirm>
          )}
          {removing && (
            <Confirm
              title={`Take the role from ${removing.principal.name}?`}
              verb="Take it away"
              act={async () => {
                await set(removing.principal, '');
                const title = `${removing.principal.name} has no role any more`;
                if (isSame(removing.principal, session.principal)) say.done(title);
                else say.undoable(title, () => change(removing, removing.role as Role));
              }}
              onClose={() => setRemoving(undefined)}
            >
              <Stack hasGutter>
                <StackItem>{withoutRole(removing.principal)}</StackItem>
                <StackItem>
                  <OwnRole of={removing.principal} own={session.principal} />
                </StackItem>
              </Stack>
            </Confirm>
          )}
        </>
      )}
    </Loaded>
  );
}

const withoutRole = (p: Principal): string =>
  p.kind === 'group'
    ? 'Who is in it cannot use the console any more, unless they or another group of theirs have a role. Their open sessions see no more from then on.'
    : 'They cannot use the console any more, unless a group of theirs has a role. Their open sessions see no more from then on.';

/** Warns whoever is about to take from themselves what they cannot give back. */
function OwnRole({ of, own }: { of: Principal; own: Principal }) {
  if (isSame(of, own)) {
    return <Alert isInline variant="warning" title="This is you. Only another operator can give you the role again." />;
  }
  if (of.kind !== 'group') return null;
  return (
    <Alert
      isInline
      variant="warning"
      title="If you have your role by this group, only another operator can give it to you again."
    />
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
        say.done(`${who.name} is an operator now`);
      }}
      onClose={onClose}
    >
      <WhoField who={who} onChange={setWho} />
      <ChoiceField label="Role" path="role" value={role} onChange={(r) => setRole(r as Role)} choices={roles} />
      {role === 'full' && (
        <Alert isInline variant="warning" title="Who has the full role can give it to others and take it from you." />
      )}
    </FormDialog>
  );
}
