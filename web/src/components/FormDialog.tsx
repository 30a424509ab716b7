import { Button, Form, Modal, ModalBody, ModalFooter, ModalHeader } from '@patternfly/react-core';
import { useId, useState, type ReactNode } from 'react';
import { asProblem } from '../api/problem';
import { FaultsContext } from './faults';
import { ProblemAlert } from './ProblemAlert';

interface Props {
  title: string;
  /** A sentence below the title. */
  says?: ReactNode;
  /** The verb on the button: "Add". */
  verb: string;
  /** Does it; what it throws is shown at the fields that it names, the rest above them. */
  act: () => Promise<unknown>;
  /** Called when it was done, or nothing was. */
  onClose: () => void;
  /** Why it cannot be done yet; undefined: it can. */
  not?: string | undefined;
  children: ReactNode;
}

/** Asks for a few values and does something with them. */
export function FormDialog({ title, says, verb, act, onClose, not, children }: Props) {
  const [problem, setProblem] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const id = useId();
  const fields = problem === undefined ? [] : asProblem(problem).fields;
  const [shown, setShown] = useState<string[]>([]);
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
    <Modal isOpen variant="small" onClose={onClose} aria-labelledby={`${id}-title`}>
      <ModalHeader title={title} labelId={`${id}-title`} description={says} />
      <ModalBody>
        <Form
          id={`${id}-form`}
          onSubmit={(e) => {
            e.preventDefault();
            if (not === undefined && !busy) void submit();
          }}
        >
          {problem !== undefined && <ProblemAlert problem={problem} said={shown} />}
          <FaultsContext value={{ fields, setShown }}>{children}</FaultsContext>
        </Form>
      </ModalBody>
      <ModalFooter>
        <Button type="submit" form={`${id}-form`} isDisabled={not !== undefined || busy} isLoading={busy}>
          {verb}
        </Button>
        <Button variant="link" onClick={onClose}>
          Cancel
        </Button>
      </ModalFooter>
    </Modal>
  );
}
