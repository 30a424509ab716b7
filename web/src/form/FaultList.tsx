import { Button, List, ListItem } from '@patternfly/react-core';
import type { FieldError } from '../api/problem';

interface Props {
  faults: FieldError[];
  /** Leads to the field of a path; absent: it is told and led nowhere. */
  onFault?: (path: string) => void;
}

/** Faults with their paths, each leading to its field. */
export function FaultList({ faults, onFault }: Props) {
  return (
    <List>
      {faults.map((f) => (
        <ListItem key={f.path + f.message}>
          {onFault ? (
            <Button variant="link" isInline onClick={() => onFault(f.path)}>
              {f.path === '' ? 'The document' : f.path}
            </Button>
          ) : (
            <code>{f.path}</code>
          )}
          {': '}
          <span className="dormer-name">{f.message}</span>
        </ListItem>
      ))}
    </List>
  );
}
