import { Alert, Content } from '@patternfly/react-core';
import { useMemo, useState } from 'react';
import type { FieldError } from '../../api/problem';
import { FormDialog } from '../../components/FormDialog';
import { plural } from '../../components/format';
import { TextField } from '../../components/inputs';
import { changes } from '../../document/difference';
import type { Json } from '../../document/json';
import { ChangeList } from './ChangeList';

interface Props {
  before: Json;
  after: Json;
  warnings: FieldError[];
  /** Takes the document without one of the changes. */
  onRevert: (document: Json) => void;
  act: (message: string) => Promise<unknown>;
  onClose: () => void;
}

/** Shows what a commit changes, and asks why. */
export function CommitDialog({ before, after, warnings, onRevert, act, onClose }: Props) {
  const [message, setMessage] = useState('');
  const found = useMemo(() => changes(before, after), [before, after]);
  return (
    <FormDialog
      title="Commit the changes?"
      says="Clients take them over with their next poll."
      verb="Commit"
      act={() => act(message)}
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
          {warnings.map((w) => (
            <p key={w.path + w.message}>
              <code>{w.path}</code> {w.message}
            </p>
          ))}
        </Alert>
      )}
      <TextField
        label="Message"
        path="message"
        help="Why, for the history. It may be left empty."
        value={message}
        onChange={setMessage}
        autoComplete="off"
      />
    </FormDialog>
  );
}
