import { Alert, Content } from '@patternfly/react-core';
import { useMemo } from 'react';
import type { FieldError } from '../../api/problem';
import { FormDialog } from '../../components/FormDialog';
import { plural } from '../../components/format';
import { TextField } from '../../components/inputs';
import { changes } from '../../document/difference';
import type { Json } from '../../document/json';
import { FaultList } from '../../form/FaultList';
import { ChangeList } from './ChangeList';

interface Props {
  before: Json;
  after: Json;
  warnings: FieldError[];
  /** Takes the document without one of the changes. */
  onRevert: (document: Json) => void;
  /** Why it is committed. */
  message: string;
  onMessage: (message: string) => void;
  act: () => Promise<unknown>;
  onClose: () => void;
}

/** Shows what a commit changes, and asks why. */
export function CommitDialog({ before, after, warnings, onRevert, message, onMessage, act, onClose }: Props) {
  const found = useMemo(() => changes(before, after), [before, after]);
  return (
    <FormDialog
      title="Commit the changes?"
      says="Clients take them over with their next poll."
      verb="Commit"
      act={act}
      onClose={onClose}
      not={found.length === 0 ? 'Nothing is changed.' : undefined}
    >
      <Content component="p">{`${plural(found.length, 'change')}:`}</Content>
      <ChangeList changes={found} before={before} after={after} onRevert={onRevert} />
      {warnings.length > 0 && (
        <Alert
          isInline
          variant="warning"
          title={plural(
            warnings.length,
            'thing is valid and perhaps not meant',
            'things are valid and perhaps not meant',
          )}
        >
          <FaultList faults={warnings} />
        </Alert>
      )}
      <TextField
        label="Message"
        path="message"
        help="Why, for the history. It may be left empty."
        value={message}
        onChange={onMessage}
        autoComplete="off"
      />
    </FormDialog>
  );
}
