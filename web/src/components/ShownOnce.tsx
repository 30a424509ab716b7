import { Alert, Button, ClipboardCopy, Modal, ModalBody, ModalFooter, ModalHeader } from '@patternfly/react-core';
import { useId, type ReactNode } from 'react';

interface Props {
  title: string;
  /** The secret. */
  text: string;
  /** What it is for, and what to do with it. */
  children: ReactNode;
  onClose: () => void;
}

/** Shows a secret that nobody can be shown again. */
export function ShownOnce({ title, text, children, onClose }: Props) {
  const id = useId();
  return (
    <Modal isOpen variant="medium" aria-labelledby={id}>
      <ModalHeader title={title} labelId={id} />
      <ModalBody>
        <Alert isInline variant="warning" title="It is shown this once. Copy it now." />
        <br />
        <ClipboardCopy isReadOnly isCode isBlock hoverTip="Copy" clickTip="Copied" textAriaLabel={title}>
          {text}
        </ClipboardCopy>
        <br />
        {children}
      </ModalBody>
      <ModalFooter>
        <Button onClick={onClose}>Close</Button>
      </ModalFooter>
    </Modal>
  );
}
