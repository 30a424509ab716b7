import { Content, List, ListItem } from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useNavigate } from 'react-router';
import { api, data, type Schemas } from '../../api/client';
import { Confirm } from '../../components/Confirm';
import { FormDialog } from '../../components/FormDialog';
import { plural } from '../../components/format';
import { TextField } from '../../components/inputs';
import { useMessages } from '../../components/messages';
import { useWho } from '../../session/session';
import { draftKey, drafts } from './drafts';
import { Waiting } from '../../components/Waiting';

/** A workspace as its row or its page names it. */
export type Named = Pick<Schemas['Workspace'], 'id' | 'name' | 'etag'>;

interface Props {
  workspace: Named;
  onClose: () => void;
}

/** Asks for the name of a copy, and goes to it. */
export function CloneDialog({ workspace, onClose }: Props) {
  const queries = useQueryClient();
  const say = useMessages();
  const navigate = useNavigate();
  const [name, setName] = useState('');
  const act = async () => {
    const made = await data(
      api.POST('/workspaces/{id}/clone', {
        params: { path: { id: workspace.id } },
        body: name.trim() === '' ? {} : { name: name.trim() },
      }),
    );
    await queries.invalidateQueries({ queryKey: ['workspace'] });
    say.done(`${made.name} is a copy of ${workspace.name}`);
    await navigate(`/workspaces/${made.id}`);
  };
  return (
    <FormDialog
      title={`Clone ${workspace.name}?`}
      says="The copy has the same settings and grants as the revision that is current, and no machines."
      verb="Clone"
      act={act}
      onClose={onClose}
    >
      <TextField
        label="Name of the copy"
        path="name"
        help="The first that is free when it is left empty."
        placeholder={`${workspace.name} - 2`}
        value={name}
        onChange={setName}
        autoComplete="off"
      />
    </FormDialog>
  );
}

/** Asks for another name; machines keep running under it. */
export function RenameDialog({ workspace, onClose }: Props) {
  const queries = useQueryClient();
  const say = useMessages();
  const [name, setName] = useState(workspace.name);
  const act = async () => {
    await api.POST('/workspaces/{id}/rename', {
      params: { path: { id: workspace.id }, header: { 'If-Match': `"${workspace.etag}"` } },
      body: { name: name.trim() },
    });
    await queries.invalidateQueries({ queryKey: ['workspace'] });
    say.done(`${workspace.name} is called ${name.trim()} now`);
  };
  return (
    <FormDialog
      title={`Rename ${workspace.name}?`}
      says="Users see the new name with their next poll; their machines stay."
      verb="Rename"
      act={act}
      onClose={onClose}
      not={name.trim() === '' || name === workspace.name ? 'Enter another name.' : undefined}
    >
      <TextField label="Name" path="name" isRequired value={name} onChange={setName} autoComplete="off" />
    </FormDialog>
  );
}

/** How many users are named before it says how many more there are. */
const named = 10;

interface DeleteProps extends Props {
  /** Called when it is gone. */
  onDeleted?: () => void;
}

/** Of how many machines the people are told. */
const listed = 1000;

/** Asks by name before a workspace is deleted, and says who has machines of it. */
export function DeleteDialog({ workspace, onClose, onDeleted }: DeleteProps) {
  const queries = useQueryClient();
  const who = useWho();
  const say = useMessages();
  const machines = useQuery({
    queryKey: ['client', 'machines', workspace.id],
    queryFn: () => data(api.GET('/machines', { params: { query: { workspace: workspace.id, limit: listed } } })),
  });
  const act = async () => {
    await api.DELETE('/workspaces/{id}', {
      params: { path: { id: workspace.id }, header: { 'If-Match': `"${workspace.etag}"` } },
    });
    drafts.set(draftKey(who, workspace.id), null);
    say.done(`${workspace.name} is deleted`);
    onDeleted?.();
    await queries.invalidateQueries({ queryKey: ['workspace'] });
  };
  const users = [...new Set((machines.data?.items ?? []).map((m) => m.user.name))];
  const all = machines.data !== undefined && machines.data.items.length === machines.data.total;
  return (
    <Confirm
      title={`Delete the workspace ${workspace.name}?`}
      verb="Delete"
      name={workspace.name}
      act={act}
      onClose={onClose}
    >
      <Content component="p">
        Nobody can start it any more. Machines of it stop, and are kept on their clients until somebody deletes them
        there.
      </Content>
      {machines.isPending && <Waiting what="who has machines of it" height="1.5rem" />}
      {machines.isError && <Content component="p">Who has machines of it cannot be said now.</Content>}
      {machines.data && users.length === 0 && <Content component="p">Nobody has a machine of it.</Content>}
      {machines.data && users.length > 0 && (
        <>
          <Content component="p">
            <Link to={`/clients?workspace=${workspace.id}`}>{plural(machines.data.total, 'machine')}</Link>
            {` of ${all ? plural(users.length, 'user') : `more than ${plural(users.length, 'user')}`}:`}
          </Content>
          <List>
            {users.slice(0, named).map((u) => (
              <ListItem key={u}>
                <span className="dormer-name">{u}</span>
              </ListItem>
            ))}
            {users.length > named && (
              <ListItem>{all ? `and ${plural(users.length - named, 'other')}` : 'and others'}</ListItem>
            )}
          </List>
        </>
      )}
    </Confirm>
  );
}
