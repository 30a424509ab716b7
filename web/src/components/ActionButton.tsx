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
  if (why === undefined) return <Button {...props} />;
  return (
    <Tooltip content={why}>
      <Button {...props} isAriaDisabled />
    </Tooltip>
  );
}
