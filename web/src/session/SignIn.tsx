import { Modal, ModalBody, ModalHeader } from '@patternfly/react-core';
import { useTitle } from '../app/theme';
import { Entrance } from './Entrance';
import { SignInWays } from './SignInWays';

interface Props {
  onSignedIn: () => Promise<void>;
  /** Who was signed in and has to do so again; absent: nobody was. */
  again?: string;
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
function Above({ onSignedIn, again }: { onSignedIn: () => Promise<void>; again: string }) {
  return (
    <Modal isOpen variant="small" aria-labelledby="again-title" onEscapePress={() => undefined}>
      <ModalHeader
        title="Your session has ended"
        labelId="again-title"
        description="Sign in again: what you were doing goes on, and nothing that you entered is lost."
      />
      {/* Something must take the focus while the ways to sign in are asked for. */}
      <ModalBody tabIndex={0} aria-label="Sign in again">
        <SignInWays onSignedIn={onSignedIn} again={again} />
      </ModalBody>
    </Modal>
  );
}
