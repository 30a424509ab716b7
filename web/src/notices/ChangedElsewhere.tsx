import { Alert, AlertActionCloseButton, AlertActionLink } from '@patternfly/react-core';
import { useCallback, useState } from 'react';
import { Time } from '../components/format';
import { useNotice, type Notice } from './notices';
import { doneWith } from './words';

interface Props {
  /** Kind of what is on the screen, as notices name it. */
  kind: string;
  /** Its identity, or its name where it has none. */
  id: string;
  /** Shows what it is now. */
  onReload: () => void;
}

/** Says that somebody else has changed what is on the screen: who, what and when. */
export function ChangedElsewhere({ kind, id, onReload }: Props) {
  const [notice, setNotice] = useState<Notice>();
  const listen = useCallback(
    (n: Notice) => {
      if (n.kind === kind && (n.object === id || n.name === id)) setNotice(n);
    },
    [kind, id],
  );
  useNotice(listen);
  if (!notice) return <div aria-live="polite" />;
  const close = () => setNotice(undefined);
  return (
    <div aria-live="polite">
      <Alert
        isInline
        variant="info"
        title={
          <>
            <span className="dormer-name">{notice.who}</span> has {doneWith(notice.action)} this
          </>
        }
        actionClose={<AlertActionCloseButton onClose={close} />}
        actionLinks={
          <AlertActionLink
            onClick={() => {
              close();
              onReload();
            }}
          >
            Show
          </AlertActionLink>
        }
      >
        <p>
          {notice.detail !== undefined && notice.detail !== '' && (
            <>
              <span className="dormer-name">{notice.detail}</span>,{' '}
            </>
          )}
          <Time at={notice.time} />
        </p>
      </Alert>
    </div>
  );
}
