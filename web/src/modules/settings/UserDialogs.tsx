import { useState } from 'react';
import { api, data, type Schemas } from '../../api/client';
import { FormDialog } from '../../components/FormDialog';
import { CheckField, TextField } from '../../components/inputs';
import { useMessages } from '../../components/messages';
import { ChangedElsewhere } from '../../notices/ChangedElsewhere';
import { future, unlessExists } from './faults';

type User = Schemas['User'];

/** What the API takes for "never". */
const never = '0001-01-01T00:00:00Z';

interface Props {
  /** Told a password that the server made. */
  onMade: (name: string, password: string) => void;
  onClose: () => void;
}

interface UserProps extends Props {
  /** Who is changed; absent: one is added. */
  user: User | undefined;
  /** Gives up what was entered for what others changed meanwhile. */
  onTake: () => void;
}

/** Adds a user, or changes one. */
export function UserDialog({ user, onMade, onTake, onClose }: UserProps) {
  const say = useMessages();
  const [name, setName] = useState(user?.name ?? '');
  const [shown, setShown] = useState(user?.display_name ?? '');
  const [password, setPassword] = useState('');
  const [mustChange, setMustChange] = useState(user?.must_change ?? true);
  const known = user?.expires?.slice(0, 10) ?? '';
  const [expires, setExpires] = useState(known);
  const act = async () => {
    // What was not changed is not sent: an hour that was set elsewhere stays, and the audit log says what was done.
    const until = expires === known ? undefined : (future(expires, 'expires', Date.now()) ?? never);
    if (user) {
      const body = {
        ...(name !== user.name && { name }),
        ...(shown !== (user.display_name ?? '') && { display_name: shown }),
        ...(mustChange !== user.must_change && { must_change: mustChange }),
        ...(until !== undefined && { expires: until }),
      };
      if (Object.keys(body).length === 0) return;
      await unlessExists(
        'name',
        'is in use already',
        api.PATCH('/directory/users/{id}', { params: { path: { id: user.id } }, body }),
      );
      say.done(`${name} is changed`);
      return;
    }
    const made = await unlessExists(
      'name',
      'is in use already',
      data(
        api.POST('/directory/users', {
          body: { name, display_name: shown, password, must_change: mustChange, expires: until },
        }),
      ),
    );
    say.done(`${name} is added`);
    if (made.password !== undefined) onMade(name, made.password);
  };
  return (
    <FormDialog
      title={user ? `Change ${user.name}` : 'Add a user'}
      verb={user ? 'Change' : 'Add'}
      act={act}
      onClose={onClose}
    >
      {user && (
        <ChangedElsewhere kind="user" id={user.id} onShow={onTake} verb="Show it in place of what I entered">
          <p>What you entered is kept. Only the fields that you change are sent.</p>
        </ChangedElsewhere>
      )}
      <TextField
        label="Name"
        path="name"
        value={name}
        onChange={setName}
        isRequired
        help="What they sign in with."
        autoComplete="off"
      />
      <TextField label="Full name" path="display_name" value={shown} onChange={setShown} autoComplete="off" />
      {!user && <NewPassword value={password} onChange={setPassword} />}
      {(user !== undefined || password !== '') && (
        <CheckField label="Must be changed at the next sign-in" checked={mustChange} onChange={setMustChange} />
      )}
      <TextField
        label="Expires"
        path="expires"
        type="date"
        value={expires}
        onChange={setExpires}
        help="They cannot sign in any more from the beginning of that day (UTC) on. Empty: never."
      />
    </FormDialog>
  );
}

/** A password that is given to somebody, or none. */
const NewPassword = (props: { value: string; onChange: (password: string) => void }) => (
  <TextField
    label="Password"
    path="password"
    type="password"
    {...props}
    autoComplete="new-password"
    help="At least 12 characters. Leave it empty to have one made, which is shown once and must be changed at the first sign-in."
  />
);

/** Gives a user a new password. */
export function PasswordDialog({ user, onMade, onClose }: Props & { user: User }) {
  const say = useMessages();
  const [password, setPassword] = useState('');
  const [mustChange, setMustChange] = useState(true);
  const act = async () => {
    const set = await data(
      api.POST('/directory/users/{id}/password', {
        params: { path: { id: user.id } },
        body: { password, must_change: mustChange },
      }),
    );
    say.done(`${user.name} has a new password`);
    if (set.password !== undefined) onMade(user.name, set.password);
  };
  return (
    <FormDialog title={`New password of ${user.name}`} verb="Set" act={act} onClose={onClose}>
      <NewPassword value={password} onChange={setPassword} />
      {password !== '' && (
        <CheckField label="Must be changed at the next sign-in" checked={mustChange} onChange={setMustChange} />
      )}
    </FormDialog>
  );
}
