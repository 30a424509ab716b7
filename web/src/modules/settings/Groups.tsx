import {
  Alert,
  EmptyState,
  EmptyStateActions,
  EmptyStateBody,
  EmptyStateFooter,
  Label,
  LabelGroup,
} from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, data, type Schemas } from '../../api/client';
import { ActionButton } from '../../components/ActionButton';
import { Confirm } from '../../components/Confirm';
import { DataTable, type Column } from '../../components/DataTable';
import { FormDialog } from '../../components/FormDialog';
import { TextField } from '../../components/inputs';
import { Loaded } from '../../components/Loaded';
import { count, plural } from '../../components/format';
import { useMessages } from '../../components/messages';
import { useReadOnly } from '../../session/session';
import { unlessExists } from './faults';
import { groupsWithin, peopleIn } from './membership';
import { WhoField } from './WhoField';
import { rowAction } from '../../components/rowAction';

type Group = Schemas['Group'];
type Member = Group['members'][number];
type Principal = Schemas['Operator']['principal'];

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
        () =>
          say.undoable(`${m.name ?? m.id} is not in ${g.name} any more`, () => {
            putIn(g, m).catch((thrown: unknown) => say.failed(`${m.name ?? m.id} was not put back`, thrown));
          }),
        (thrown: unknown) => say.failed(`${m.name ?? m.id} is still in ${g.name}`, thrown),
      );
  };
  const all = query.data?.items ?? [];
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
    { name: 'People', cell: (g) => count(peopleIn(g.id, all)), sort: (g) => peopleIn(g.id, all) },
  ];
  const add = <ActionButton onClick={() => setAdding(true)}>Add a group</ActionButton>;
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
            searchKey="search"
            tools={add}
            name={(g) => g.name}
            actions={(g) => [
              rowAction('Put somebody in', readOnly, () => setInto(g)),
              { isSeparator: true },
              rowAction('Remove', readOnly, () => setRemoving(g)),
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
        await unlessExists('name', 'is in use already', api.POST('/directory/groups', { body: { name } }));
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
  const [who, setWho] = useState<Principal>();
  const why = who && whyNot(who, group, groups);
  return (
    <FormDialog
      title={`Put somebody into ${group.name}`}
      says="Users and groups of the embedded directory. A group brings all who are in it."
      verb="Put in"
      not={who ? why : 'Choose somebody first'}
      act={async () => {
        if (!who) return;
        await putIn({ kind: who.kind, id: who.key });
        say.done(`${who.name} is in ${group.name} now`);
      }}
      onClose={onClose}
    >
      <WhoField who={who} onChange={setWho}>
        {why !== undefined && <Alert isInline isPlain variant="danger" title={why} component="p" />}
      </WhoField>
    </FormDialog>
  );
}

/** Why somebody cannot be put into a group; undefined: they can. */
function whyNot(who: Principal, group: Group, groups: Group[]): string | undefined {
  if (who.directory !== 'local') return 'Only users and groups of the embedded directory can be in its groups.';
  if (group.members.some((m) => m.kind === who.kind && m.id === who.key)) return 'They are in it already.';
  if (who.kind === 'group' && groupsWithin(who.key, groups).has(group.id)) {
    return who.key === group.id ? 'A group cannot be in itself.' : `${group.name} is in that group itself.`;
  }
  return undefined;
}
