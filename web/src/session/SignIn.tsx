import { Modal, ModalBody, ModalHeader } from '@patternfly/react-core';
import type { Schemas } from '../api/client';
import { useTitle } from '../app/theme';
import { Entrance } from './Entrance';
import { SignInWays, useWays } from './SignInWays';

interface Props {
  onSignedIn: () => Promise<void>;
  /** Who was signed in and has to do so again; absent: nobody was. */
  again?: Schemas['Session']['principal'];
}

/** Asks people who they are: a page of its own, or above what they were doing. */
export function SignIn({ onSignedIn, again }: Props) {
  return again === undefined ? <Alone onSignedIn={onSignedIn} /> : <Above onSignedIn={onSignedIn} again={again} />;
}

function Alone({ onSignedIn }: { onSignedIn: () => Promise<void> }) {
  useTitle('Sign in');
  return (
    <Entrance>
      <SignInWays onSignedIn={onSignedIn} />
    </Entrance>
  );
}

/** It cannot be closed: what is below waits for it, and would fail without it. */
function Above({ onSignedIn, again }: Required<Props>) {
  const { isPending } = useWays();
  return (
    <Modal
      isOpen
      variant="small"
      aria-labelledby="again-title"
      onEscapePress={() => undefined}
      // Until the ways to sign in are known there is nothing in it that could have the focus.
      disableFocusTrap={isPending}
      elementToFocus="#again-ways :is(input[type=password], button)"
    >
      <ModalHeader
        title="Your session has ended"
        labelId="again-title"
        description="Sign in again: what you were doing goes on, and nothing that you entered is lost."
      />
      <ModalBody id="again-ways">
        <SignInWays onSignedIn={onSignedIn} again={again} />
      </ModalBody>
    </Modal>
  );
}
