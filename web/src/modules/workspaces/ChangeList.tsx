import { Button, Content, List, ListItem } from '@patternfly/react-core';
import { useState } from 'react';
import type { Change } from '../../document/difference';
import { FieldLabel } from '../../document/FieldLabel';
import type { Json } from '../../document/json';
import { count } from '../../components/format';
import { without } from './revert';
import { said } from './sentences';

/** How many are shown before one asks for more. */
const few = 50;

interface Props {
  changes: Change[];
  before: Json;
  after: Json;
  /** Takes the document without one change; absent: nothing can be taken back. */
  onRevert?: (document: Json) => void;
}

/** What was changed, a sentence a field, each of which can be taken back by itself. */
export function ChangeList({ changes, before, after, onRevert }: Props) {
  const [all, setAll] = useState(false);
  const shown = all ? changes : changes.slice(0, few);
  if (changes.length === 0) return <Content component="p">Nothing differs from the revision that is current.</Content>;
  return (
    <>
      <List aria-label="Changes">
        {shown.map((c) => {
          const reverted = onRevert && without(after, c);
          return (
            <ListItem key={`${c.path} ${c.after === undefined ? 'removed' : ''}${c.order ? 'order' : ''}`}>
              <strong>
                <FieldLabel path={c.path} document={c.after === undefined ? before : after} />
              </strong>{' '}
              <span className="dormer-name">{said(c)}</span>
              {onRevert && reverted !== undefined && (
                <>
                  {' '}
                  <Button
                    variant="link"
                    isInline
                    onClick={() => onRevert(reverted)}
                    aria-label={`Take back: ${c.path}`}
                  >
                    Take back
                  </Button>
                </>
              )}
            </ListItem>
          );
        })}
      </List>
      {shown.length < changes.length && (
        <Button variant="link" onClick={() => setAll(true)}>{`Show all ${count(changes.length)} changes`}</Button>
      )}
    </>
  );
}
