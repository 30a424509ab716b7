import { Button, Modal, ModalBody, ModalFooter, ModalHeader } from '@patternfly/react-core';
import { useCallback, useEffect } from 'react';
import { useBlocker, type BlockerFunction } from 'react-router';

interface Props {
  name: string;
  dirty: boolean;
  onDiscard: () => void;
}

/** Asks before somebody leaves a page with changes that are not committed. They are kept unless somebody says otherwise. */
export function LeaveGuard({ name, dirty, onDiscard }: Props) {
  const away = useCallback<BlockerFunction>(
    ({ currentLocation, nextLocation }) => dirty && currentLocation.pathname !== nextLocation.pathname,
    [dirty],
  );
  const blocker = useBlocker(away);
  useEffect(() => {
    if (!dirty) return undefined;
    const ask = (e: BeforeUnloadEvent) => e.preventDefault();
    window.addEventListener('beforeunload', ask);
    return () => window.removeEventListener('beforeunload', ask);
  }, [dirty]);
  if (blocker.state !== 'blocked') return null;
  return (
    <Modal
      isOpen
      variant="small"
      onClose={() => blocker.reset()}
      aria-labelledby="leave-title"
      aria-describedby="leave-body"
    >
      <ModalHeader
        title="Leave with changes that are not committed?"
        labelId="leave-title"
        titleIconVariant="warning"
      />
      <ModalBody id="leave-body">
        The changes of <span className="dormer-name">{name}</span> stay in this tab of the browser until you come back
        or close it. Users get nothing of them until they are committed.
      </ModalBody>
      <ModalFooter>
        <Button onClick={() => blocker.proceed()}>Leave and keep them</Button>
        <Button
          variant="secondary"
          onClick={() => {
            onDiscard();
            blocker.proceed();
          }}
        >
          Discard them
        </Button>
        <Button variant="link" onClick={() => blocker.reset()}>
          Stay
        </Button>
      </ModalFooter>
    </Modal>
  );
}
