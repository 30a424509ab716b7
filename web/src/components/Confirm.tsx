import { useId, useState, type ReactNode } from 'react';
import { FormDialog } from './FormDialog';
import { TypedName } from './TypedName';

interface Props {
  /** As a question: "Delete image office?" */
  title: string;
  /** What happens then, and to whom. */
  children: ReactNode;
  /** The verb on the button: "Delete". */
  verb: string;
  /** Must be typed before; absent: what is done can be undone or does no harm. */
  name?: string;
  /** Something in children is still to be answered. */
  isBlocked?: boolean;
  /** Does it; the dialog shows what it throws and stays. */
  act: () => Promise<unknown>;
  /** Called when it was done, or nothing was. */
  onClose: () => void;
}

/** Asks before something is destroyed, by name where it is gone for good. */
export function Confirm({ title, children, verb, name, isBlocked = false, act, onClose }: Props) {
  const id = useId();
  const [typed, setTyped] = useState('');
  const not = (): string | undefined => {
    if (name !== undefined && typed !== name) return 'Type the name first.';
    return isBlocked ? 'Answer what is asked first.' : undefined;
  };
  return (
    <FormDialog title={title} verb={verb} act={act} onClose={onClose} not={not()} isDanger describedBy={id}>
      <div id={id}>{children}</div>
      {name !== undefined && <TypedName name={name} value={typed} onChange={setTyped} />}
    </FormDialog>
  );
}
