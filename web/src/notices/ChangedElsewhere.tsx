import { Alert, AlertActionCloseButton, AlertActionLink } from '@patternfly/react-core';
import { useCallback, useState, type ReactNode } from 'react';
import { Time } from '../components/format';
import { concerns, remark } from './concerning';
import { useNotice, type Notice } from './notices';
import { doneWith } from './words';

interface Props {
  /** Kind of what is on the screen, as notices name it. */
  kind: string;
  /** Its identity, or its name where it has none. */
  id: string;
  /** Shows what was changed; absent: it is on the screen already. */
  onShow?: () => void;
  /** What showing it is called. */
  verb?: string;
  /** What it means for what is entered here. */
  children?: ReactNode;
}

/** Says that somebody else has changed what is on the screen: who, what and when. */
export function ChangedElsewhere({ kind, id, onShow, verb = 'Show', children }: Props) {
  const [heard, setHeard] = useState<Notice>();
  const listen = useCallback(
    (n: Notice) => {
      if (concerns(n, kind, id)) setHeard(n);
    },
    [kind, id],
  );
  useNotice(listen);
  // The page may show another one by now.
  const notice = heard && concerns(heard, kind, id) ? heard : undefined;
  if (!notice) return <div aria-live="polite" />;
  const close = () => setHeard(undefined);
  const more = remark(notice);
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
          onShow && (
            <AlertActionLink
              onClick={() => {
                close();
                onShow();
              }}
            >
              {verb}
            </AlertActionLink>
          )
        }
      >
        {children}
        <p>
          {more !== '' && (
            <>
              <span className="dormer-name">{more}</span>,{' '}
            </>
          )}
          <Time at={notice.time} />
        </p>
      </Alert>
    </div>
  );
}
