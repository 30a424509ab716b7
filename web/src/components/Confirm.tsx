import { Button, Form, FormGroup, Modal, ModalBody, ModalFooter, ModalHeader, TextInput } from '@patternfly/react-core';
import { useState, type ReactNode } from 'react';
import { ProblemAlert } from './ProblemAlert';

interface Props {
  /** As a question: "Delete image office?" */
  title: string;
  /** What happens then, and to whom. */
  children: ReactNode;
  /** The verb on the button: "Delete". */
  verb: string;
  /** Must be typed before; absent: what is done can be undone or does no harm. */
  name?: string;
  /** Something in children is still to be answered. */
  isBlocked?: boolean;
  /** Does it; the dialog shows what it throws and stays. */
  act: () => Promise<unknown>;
  /** Called when it was done, or nothing was. */
  onClose: () => void;
}

/** Asks before something is destroyed, by name where it is gone for good. */
export function Confirm({ title, children, verb, name, isBlocked = false, act, onClose }: Props) {
  const [typed, setTyped] = useState('');
  const [problem, setProblem] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const ready = (name === undefined || typed === name) && !busy && !isBlocked;
  const submit = async () => {
    setBusy(true);
    try {
      await act();
      onClose();
    } catch (thrown) {
      setProblem(thrown);
      setBusy(false);
    }
  };
  return (
    <Modal isOpen variant="small" onClose={onClose} aria-labelledby="confirm-title" aria-describedby="confirm-body">
      <ModalHeader title={title} labelId="confirm-title" titleIconVariant="warning" />
      <ModalBody id="confirm-body">
        {children}
        {name !== undefined && (
          <Form
            onSubmit={(e) => {
              e.preventDefault();
              if (ready) void submit();
            }}
          >
            <FormGroup
              fieldId="confirm-name"
              label={
                <>
                  Type <strong className="dormer-name">{name}</strong> to confirm
                </>
              }
            >
              <TextInput id="confirm-name" value={typed} onChange={(_, v) => setTyped(v)} autoComplete="off" />
            </FormGroup>
          </Form>
        )}
        {problem !== undefined && <ProblemAlert problem={problem} />}
      </ModalBody>
      <ModalFooter>
        <Button variant="danger" isDisabled={!ready} isLoading={busy} onClick={() => void submit()}>
          {verb}
        </Button>
        <Button variant="link" onClick={onClose}>
          Cancel
        </Button>
      </ModalFooter>
    </Modal>
  );
}
