import { Button, Tooltip, type ButtonProps } from '@patternfly/react-core';
import { useReadOnly } from '../session/session';

interface Props extends ButtonProps {
  /** Why it cannot be done now, beside the operator's role; undefined: it can. */
  not?: string | undefined;
}

/**
 * A button that changes something. Who may not, or cannot now, finds it where
 * it belongs, and it says why: it takes the focus, and does nothing.
 */
export function ActionButton({ not, ...props }: Props) {
  const readOnly = useReadOnly();
  const why = readOnly ?? not;
  // The same elements either way: a button that was made anew would lose the focus.
  return (
    <Tooltip content={why ?? ''} trigger={why === undefined ? 'manual' : 'mouseenter focus'}>
      <Button {...props} isAriaDisabled={why !== undefined} />
    </Tooltip>
  );
}
