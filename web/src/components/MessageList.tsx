import { Alert, AlertActionCloseButton, AlertActionLink, AlertGroup } from '@patternfly/react-core';
import { useCallback, useMemo, useRef, useState, type ReactNode } from 'react';
import { asProblem } from '../api/problem';
import { MessagesContext, type Say } from './messages';

interface Message {
  id: number;
  variant: 'success' | 'danger';
  title: string;
  text?: string;
  undo?: () => void;
}

/** How long a message stays that tells of no failure, in milliseconds. */
const shown = 8_000;

/** Shows messages above everything below it. */
export function Messages({ children }: { children: ReactNode }) {
  const [messages, setMessages] = useState<Message[]>([]);
  const next = useRef(0);
  const add = useCallback((m: Omit<Message, 'id'>) => {
    next.current += 1;
    const id = next.current;
    setMessages((all) => [...all, { ...m, id }]);
  }, []);
  const remove = useCallback((id: number) => setMessages((all) => all.filter((m) => m.id !== id)), []);
  const say = useMemo<Say>(
    () => ({
      done: (title) => add({ variant: 'success', title }),
      failed: (title, thrown) => {
        const p = asProblem(thrown);
        add({
          variant: 'danger',
          title,
          text: [p.message, ...p.fields.map((f) => `${f.path}: ${f.message}`)].join('\n'),
        });
      },
      undoable: (title, undo) => add({ variant: 'success', title, undo }),
    }),
    [add],
  );
  return (
    <MessagesContext value={say}>
      {children}
      <AlertGroup isToast isLiveRegion aria-label="Messages">
        {messages.map((m) => (
          <Alert
            key={m.id}
            variant={m.variant}
            title={m.title}
            timeout={m.variant === 'success' ? shown : false}
            onTimeout={() => remove(m.id)}
            actionClose={<AlertActionCloseButton onClose={() => remove(m.id)} />}
            actionLinks={
              m.undo && (
                <AlertActionLink
                  onClick={() => {
                    m.undo?.();
                    remove(m.id);
                  }}
                >
                  Undo
                </AlertActionLink>
              )
            }
          >
            {m.text}
          </Alert>
        ))}
      </AlertGroup>
    </MessagesContext>
  );
}
