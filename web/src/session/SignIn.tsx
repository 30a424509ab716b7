import {
  Alert,
  Button,
  Form,
  FormGroup,
  LoginPage,
  Modal,
  ModalBody,
  ModalHeader,
  TextInput,
} from '@patternfly/react-core';
import { useState } from 'react';
import { api } from '../api/client';
import { asProblem, type Problem } from '../api/problem';
import { useTitle } from '../app/theme';

interface Props {
  onSignedIn: () => Promise<void>;
  /** Who was signed in and has to do so again; absent: nobody was. */
  again?: string;
}

/** Asks people who they are: a page of its own, or above what they were doing. */
export function SignIn({ onSignedIn, again }: Props) {
  useTitle('Sign in');
  if (again === undefined) {
    return (
      <LoginPage loginTitle="Sign in to Dormer" loginSubtitle="As an operator of this instance">
        <PasswordForm onSignedIn={onSignedIn} user="" />
      </LoginPage>
    );
  }
  return (
    <Modal isOpen variant="small" aria-labelledby="again-title">
      <ModalHeader
        title="Your session has ended"
        labelId="again-title"
        description="Sign in again: what you were doing goes on."
      />
      <ModalBody>
        <PasswordForm onSignedIn={onSignedIn} user={again} />
      </ModalBody>
    </Modal>
  );
}

function PasswordForm({ onSignedIn, user }: { onSignedIn: () => Promise<void>; user: string }) {
  const [name, setName] = useState(user);
  const [password, setPassword] = useState('');
  const [fresh, setFresh] = useState('');
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const mustChange = problem?.kind === 'must-change-password' || fresh !== '';
  const submit = async () => {
    setBusy(true);
    try {
      await api.POST('/sessions', {
        params: { header: { 'Dormer-Session': 'cookie' } },
        body: { user: name, password, ...(fresh === '' ? {} : { new_password: fresh }) },
      });
      await onSignedIn();
    } catch (thrown) {
      setProblem(asProblem(thrown));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Form
      onSubmit={(e) => {
        e.preventDefault();
        void submit();
      }}
    >
      {problem && (
        <Alert isInline variant={mustChange ? 'info' : 'danger'} title={problem.document.title}>
          {problem.fields.map((f) => (
            <p key={f.path}>{f.message}</p>
          ))}
        </Alert>
      )}
      <FormGroup label="Name" fieldId="user" isRequired>
        <TextInput
          id="user"
          value={name}
          onChange={(_, v) => setName(v)}
          autoComplete="username"
          isRequired
          autoFocus
        />
      </FormGroup>
      <FormGroup label="Password" fieldId="password" isRequired>
        <TextInput
          id="password"
          type="password"
          value={password}
          onChange={(_, v) => setPassword(v)}
          autoComplete="current-password"
          isRequired
        />
      </FormGroup>
      {mustChange && (
        <FormGroup label="New password" fieldId="new-password" isRequired>
          <TextInput
            id="new-password"
            type="password"
            value={fresh}
            onChange={(_, v) => setFresh(v)}
            autoComplete="new-password"
            isRequired
          />
        </FormGroup>
      )}
      <Button type="submit" isBlock isLoading={busy} isDisabled={busy}>
        Sign in
      </Button>
    </Form>
  );
}
