import { Alert, Button, Form } from '@patternfly/react-core';
import { useMemo, useState } from 'react';
import { api } from '../api/client';
import { asProblem, type Problem } from '../api/problem';
import { FaultsContext } from '../components/faults';
import { TextField } from '../components/inputs';
import { useCountdown } from './countdown';
import { SignInProblem } from './SignInProblem';

interface Props {
  /** Directories that take passwords, the first for names that name none. */
  directories: string[];
  /** Who it probably is. */
  user: string;
  onSignedIn: () => Promise<void>;
}

/** Asks for a name and a password, and for a new one where the directory wants that. */
export function PasswordForm({ directories, user, onSignedIn }: Props) {
  const [name, setName] = useState(user);
  const [password, setPassword] = useState('');
  const [mustChange, setMustChange] = useState(false);
  const [fresh, setFresh] = useState('');
  const [again, setAgain] = useState('');
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const wait = useCountdown(problem);
  const differ = mustChange && again !== '' && fresh !== again;
  const faults = useMemo(
    () => ({
      fields: [
        ...(problem?.fields ?? []),
        ...(differ ? [{ path: 'repeated', message: 'This is not the same as above.' }] : []),
      ],
      setShown: () => undefined,
    }),
    [problem, differ],
  );
  const submit = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      await api.POST('/sessions', {
        params: { header: { 'Dormer-Session': 'cookie' } },
        body: { user: name, password, ...(mustChange ? { new_password: fresh } : {}) },
      });
      await onSignedIn();
    } catch (thrown) {
      const refused = asProblem(thrown);
      if (refused.kind === 'must-change-password') setMustChange(true);
      setProblem(refused);
    } finally {
      setBusy(false);
    }
  };
  const ready = name !== '' && password !== '' && (!mustChange || (fresh !== '' && fresh === again));
  return (
    <Form
      onSubmit={(e) => {
        e.preventDefault();
        if (ready && wait === 0 && !busy) void submit();
      }}
    >
      {problem?.kind === 'must-change-password' ? (
        <Alert isInline variant="info" title="Choose a new password" role="status">
          The one that you have was given to you, or has had its time.
        </Alert>
      ) : (
        problem && <SignInProblem problem={problem} wait={wait} said={['user', 'password', 'new_password']} />
      )}
      <FaultsContext value={faults}>
        <TextField
          label="Name"
          path="user"
          value={name}
          onChange={setName}
          autoComplete="username"
          autoFocus={user === ''}
          isRequired
          help={<Hint directories={directories} />}
        />
        <TextField
          label="Password"
          path="password"
          type="password"
          value={password}
          onChange={setPassword}
          autoComplete="current-password"
          isRequired
        />
        {mustChange && (
          <>
            <TextField
              label="New password"
              path="new_password"
              type="password"
              value={fresh}
              onChange={setFresh}
              autoComplete="new-password"
              isRequired
            />
            <TextField
              label="New password again"
              path="repeated"
              type="password"
              value={again}
              onChange={setAgain}
              autoComplete="new-password"
              isRequired
            />
          </>
        )}
      </FaultsContext>
      <Button type="submit" isBlock isLoading={busy} isDisabled={busy || !ready || wait > 0}>
        {mustChange ? 'Change the password and sign in' : 'Sign in'}
      </Button>
    </Form>
  );
}

function Hint({ directories: [first, ...others] }: { directories: string[] }) {
  if (first === undefined || others.length === 0) return undefined;
  return (
    <>
      Of the directory <span className="dormer-name">{first}</span>. Others:{' '}
      <span className="dormer-name">{others.map((d) => `${d}\\name`).join(', ')}</span>
    </>
  );
}
