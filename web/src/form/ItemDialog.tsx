import { Button, Form, Modal, ModalBody, ModalFooter, ModalHeader } from '@patternfly/react-core';
import { useEffect, useId, useMemo, type ReactNode } from 'react';
import { FormContext, useForm, useRegistry } from './form';
import { OtherFaults } from './OtherFaults';

interface Props {
  title: string;
  /** Path of what is edited. */
  path: string;
  /** It was just added: nobody is blamed for what they did not come to yet. */
  isNew: boolean;
  /** Closes the dialog and keeps what was entered. */
  onDone: () => void;
  /** Closes it and takes back what was entered. */
  onCancel: () => void;
  children: ReactNode;
}

/** The fields of one thing. What is entered is checked at once, as everywhere in the form, and in a new one once a field was left. */
export function ItemDialog({ title, path, isNew, onDone, onCancel, children }: Props) {
  const form = useForm();
  const { readOnly, withholding } = form;
  useEffect(() => {
    if (!isNew) return undefined;
    withholding.begin(path);
    return () => withholding.end(path);
  }, [isNew, path, withholding]);
  // What the list below shows is behind this dialog.
  const { shown, show } = useRegistry();
  const own = useMemo(() => ({ ...form, shown, show }), [form, shown, show]);
  const id = useId();
  return (
    <Modal isOpen variant="medium" onClose={onCancel} aria-labelledby={`${id}-title`}>
      <ModalHeader
        title={<span className="dormer-name">{title}</span>}
        labelId={`${id}-title`}
        description={readOnly}
      />
      <ModalBody>
        <Form
          id={`${id}-form`}
          onSubmit={(e) => {
            e.preventDefault();
            onDone();
          }}
        >
          <FormContext value={own}>
            <OtherFaults below={[path]} />
            {children}
          </FormContext>
        </Form>
      </ModalBody>
      <ModalFooter>
        {readOnly === undefined ? (
          <>
            <Button type="submit" form={`${id}-form`}>
              Done
            </Button>
            <Button variant="link" onClick={onCancel}>
              Cancel
            </Button>
          </>
        ) : (
          <Button onClick={onCancel}>Close</Button>
        )}
      </ModalFooter>
    </Modal>
  );
}
