import {
  EmptyState,
  EmptyStateActions,
  EmptyStateBody,
  EmptyStateFooter,
  FormGroup,
  Label,
  LabelGroup,
} from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, data, type Schemas } from '../../api/client';
import { asProblem } from '../../api/problem';
import { ActionButton } from '../../components/ActionButton';
import { Confirm } from '../../components/Confirm';
import { DataTable, type Column } from '../../components/DataTable';
import { FormDialog } from '../../components/FormDialog';
import { ChoiceField, TextField } from '../../components/inputs';
import { Loaded } from '../../components/Loaded';
import { plural } from '../../components/format';
import { useMessages } from '../../components/messages';
import { useReadOnly } from '../../session/session';

type Group = Schemas['Group'];
type Member = Group['members'][number];

/** How many members a row shows before it says how many more there are. */
const shownMembers = 8;

/** The groups of the embedded directory, and who is in them. */
export function Groups() {
  const queries = useQueryClient();
  const say = useMessages();
  const readOnly = useReadOnly();
  const query = useQuery({ queryKey: ['group'], queryFn: () => data(api.GET('/directory/groups')) });
  const [adding, setAdding] = useState(false);
  const [into, setInto] = useState<Group>();
  const [removing, setRemoving] = useState<Group>();
  const again = () => queries.invalidateQueries({ queryKey: ['group'] });
  const path = (g: Group, m: Member) => ({ params: { path: { id: g.id, kind: m.kind, member: m.id } } });
  const putIn = async (g: Group, m: Member) => {
    await api.PUT('/directory/groups/{id}/members/{kind}/{member}', path(g, m));
    await again();
  };
  const takeOut = (g: Group, m: Member) => {
    api
      .DELETE('/directory/groups/{id}/members/{kind}/{member}', path(g, m))
      .then(again)
      .then(
        () => say.undoable(`${m.name ?? m.id} is not in ${g.name} any more`, () => void putIn(g, m)),
        (thrown: unknown) => say.failed(`${m.name ?? m.id} is still in ${g.name}`, thrown),
      );
  };
  const columns: Column<Group>[] = [
    { name: 'Name', cell: (g) => <span className="dormer-name">{g.name}</span>, sort: (g) => g.name },
    {
      name: 'Members',
      sort: (g) => g.members.length,
      cell: (g) => (
        <LabelGroup aria-label={`Members of ${g.name}`} numLabels={shownMembers}>
          {g.members.map((m) => (
            <Label
              key={m.kind + m.id}
              color={m.kind === 'group' ? 'purple' : 'grey'}
              onClose={readOnly === undefined ? () => takeOut(g, m) : undefined}
              closeBtnAriaLabel={`Take ${m.name ?? m.id} out of ${g.name}`}
            >
              {m.kind === 'group' ? `Group ${m.name ?? m.id}` : (m.name ?? m.id)}
            </Label>
          ))}
        </LabelGroup>
      ),
    },
  ];
  const add = <ActionButton onClick={() => setAdding(true)}>Add a group</ActionButton>;
  const isDisabled = readOnly !== undefined;
  return (
    <Loaded query={query} what="groups">
      {({ items }) => (
        <>
          <DataTable
            label="groups"
            columns={columns}
            rows={items}
            id={(g) => g.id}
            text={(g) => `${g.name} ${g.members.map((m) => m.name).join(' ')}`}
            tools={add}
            actions={(g) => [
              { title: 'Put somebody in', isDisabled, onClick: () => setInto(g) },
              { isSeparator: true },
              { title: 'Remove', isDisabled, onClick: () => setRemoving(g) },
            ]}
            empty={
              <EmptyState titleText="The embedded directory has no groups" headingLevel="h2">
                <EmptyStateBody>Grants to groups are easier to keep than grants to many users.</EmptyStateBody>
                <EmptyStateFooter>
                  <EmptyStateActions>{add}</EmptyStateActions>
                </EmptyStateFooter>
              </EmptyState>
            }
          />
          {adding && <AddGroup onClose={() => setAdding(false)} />}
          {into && (
            <PutIn group={into} groups={items} putIn={(m) => putIn(into, m)} onClose={() => setInto(undefined)} />
          )}
          {removing && (
            <Confirm
              title={`Remove the group ${removing.name}?`}
              verb="Remove"
              name={removing.name}
              act={async () => {
                await api.DELETE('/directory/groups/{id}', { params: { path: { id: removing.id } } });
                await again();
                say.done(`The group ${removing.name} is removed`);
              }}
              onClose={() => setRemoving(undefined)}
            >
              {`Its ${plural(removing.members.length, 'member')} stay. Grants that name the group give nothing any more.`}
            </Confirm>
          )}
        </>
      )}
    </Loaded>
  );
}

function AddGroup({ onClose }: { onClose: () => void }) {
  const queries = useQueryClient();
  const say = useMessages();
  const [name, setName] = useState('');
  return (
    <FormDialog
      title="Add a group"
      verb="Add"
      act={async () => {
        await api.POST('/directory/groups', { body: { name } });
        await queries.invalidateQueries({ queryKey: ['group'] });
        say.done(`The group ${name} is added`);
      }}
      onClose={onClose}
    >
      <TextField label="Name" path="name" value={name} onChange={setName} isRequired autoComplete="off" />
    </FormDialog>
  );
}

interface PutInProps {
  group: Group;
  groups: Group[];
  putIn: (m: Member) => Promise<void>;
  onClose: () => void;
}

function PutIn({ group, groups, putIn, onClose }: PutInProps) {
  const say = useMessages();
  const [kind, setKind] = useState('user');
  const [chosen, setChosen] = useState('');
  const query = useQuery({ queryKey: ['user'], queryFn: () => data(api.GET('/directory/users')) });
  const isIn = (k: string, id: string) => group.members.some((m) => m.kind === k && m.id === id);
  const all = kind === 'user' ? (query.data?.items ?? []) : groups.filter((g) => g.id !== group.id);
  const others = all.filter((o) => !isIn(kind, o.id)).toSorted((a, b) => a.name.localeCompare(b.name));
  return (
    <FormDialog
      title={`Put somebody into ${group.name}`}
      verb="Put in"
      not={chosen === '' ? 'Choose somebody first' : undefined}
      act={async () => {
        await putIn({ kind, id: chosen });
        say.done(`${others.find((o) => o.id === chosen)?.name ?? 'The member'} is in ${group.name} now`);
      }}
      onClose={onClose}
    >
      <ChoiceField
        label="Kind"
        path="kind"
        value={kind}
        onChange={(k) => {
          setKind(k);
          setChosen('');
        }}
        choices={[
          { value: 'user', name: 'User' },
          { value: 'group', name: 'Group, with all who are in it' },
        ]}
      />
      {query.isError ? (
        <FormGroup label="Member">{asProblem(query.error).message}</FormGroup>
      ) : (
        <ChoiceField
          label="Member"
          path="member"
          value={chosen}
          onChange={setChosen}
          choices={[
            { value: '', name: others.length === 0 ? 'Nobody is left' : 'Choose' },
            ...others.map((o) => ({ value: o.id, name: o.name })),
          ]}
        />
      )}
    </FormDialog>
  );
}
