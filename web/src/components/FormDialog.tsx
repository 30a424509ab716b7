import { Button, Modal, ModalBody, ModalFooter, ModalHeader } from '@patternfly/react-core';
import { useId, type ReactNode } from 'react';
import { SubmissionForm } from './SubmissionForm';
import { useSubmission } from './submission';

interface Props {
  title: string;
  /** A sentence below the title. */
  says?: ReactNode;
  /** The verb on the button: "Add". */
  verb: string;
  /** Does it; what it throws is shown at the fields that it names, the rest above them, and the dialog stays. */
  act: () => Promise<unknown>;
  /** Called when it was done, or nothing was. */
  onClose: () => void;
  /** Why it cannot be done yet; undefined: it can. */
  not?: string | undefined;
  /** Something is destroyed. */
  isDanger?: boolean;
  /** Identity of the element in children that says what is asked; absent: the title says enough. */
  describedBy?: string;
  children: ReactNode;
}

/** Asks for a few values and does something with them. */
export function FormDialog({ title, says, verb, act, onClose, not, isDanger = false, describedBy, children }: Props) {
  const submission = useSubmission();
  const id = useId();
  return (
    <Modal
      isOpen
      variant="small"
      onClose={onClose}
      aria-labelledby={`${id}-title`}
      aria-describedby={describedBy}
      elementToFocus={`[id="${id}-form"] :is(input, textarea, select), button[form="${id}-form"]`}
    >
      <ModalHeader
        title={title}
        labelId={`${id}-title`}
        description={says}
        {...(isDanger && { titleIconVariant: 'warning' as const })}
      />
      <ModalBody>
        <SubmissionForm
          id={`${id}-form`}
          submission={submission}
          onSubmit={() => {
            if (not === undefined) void submission.attempt(async () => await act().then(onClose));
          }}
        >
          {children}
        </SubmissionForm>
      </ModalBody>
      <ModalFooter>
        <Button
          type="submit"
          form={`${id}-form`}
          variant={isDanger ? 'danger' : 'primary'}
          isDisabled={not !== undefined || submission.busy}
          isLoading={submission.busy}
        >
          {verb}
        </Button>
        <Button variant="link" onClick={onClose}>
          Cancel
        </Button>
      </ModalFooter>
    </Modal>
  );
}
