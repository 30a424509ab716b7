import {
  Button,
  Form,
  FormGroup,
  FormSelect,
  FormSelectOption,
  Modal,
  ModalBody,
  ModalFooter,
  ModalHeader,
} from '@patternfly/react-core';
import { useState } from 'react';
import { useZone, zones } from './zone';

/** Asks for the time zone in which times are shown. */
export function ZoneChoice({ onClose }: { onClose: () => void }) {
  const { zone, setZone } = useZone();
  const [chosen, setChosen] = useState(zone);
  return (
    <Modal isOpen variant="small" onClose={onClose} aria-labelledby="zone-title">
      <ModalHeader
        title="Time zone"
        labelId="zone-title"
        description="Times are shown in it, and days of reports begin in it. It is kept in this browser."
      />
      <ModalBody>
        <Form
          onSubmit={(e) => {
            e.preventDefault();
          }}
        >
          <FormGroup label="Time zone" fieldId="zone">
            <FormSelect id="zone" value={chosen} onChange={(_, z) => setChosen(z)}>
              {zones().map((z) => (
                <FormSelectOption key={z} value={z} label={z} />
              ))}
            </FormSelect>
          </FormGroup>
        </Form>
      </ModalBody>
      <ModalFooter>
        <Button
          onClick={() => {
            setZone(chosen);
            onClose();
          }}
        >
          Use it
        </Button>
        <Button variant="link" onClick={onClose}>
          Cancel
        </Button>
      </ModalFooter>
    </Modal>
  );
}
