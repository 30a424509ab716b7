import { useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import { api, isOwn } from '../api/client';
import { apiURL } from '../app/base';
import { useSession } from '../session/session';
import type { ServerEvent } from './events';
import { NoticesContext, type Notice, type Notices, type Present } from './notices';
import { staleAfter } from './related';
import { listen } from './stream';

/** What this console calls itself: each tab is one. */
const consoleName = `tab-${[...crypto.getRandomValues(new Uint8Array(12))].map((b) => b.toString(16).padStart(2, '0')).join('')}`;

/** How long the answer to an own change may come after the notice of it, in milliseconds. */
const answerTime = 1_000;
/** How long where one is has to stay before others are told, in milliseconds. */
const settleTime = 150;

interface Place {
  where: string;
  editing: boolean;
}

const parse = <T,>(e: ServerEvent): T => JSON.parse(e.data) as T;

/** Hears from the server what others change, and has what they changed asked for anew. */
export function NoticesProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const me = useSession().session.principal;
  const own = `${me.directory}/${me.key}`;
  const listeners = useRef(new Set<(n: Notice) => void>());
  const place = useRef<Place>({ where: '', editing: false });
  const sent = useRef<Place>({ where: '', editing: false });
  const settling = useRef<ReturnType<typeof setTimeout>>(undefined);
  const heard = useRef<string>(undefined);
  const [present, setPresent] = useState<Present[]>([]);
  const [connected, setConnected] = useState(true);
  const [lost, setLost] = useState<string>();

  const say = useCallback(() => {
    const now = place.current;
    if (now.where === sent.current.where && now.editing === sent.current.editing) return;
    sent.current = now;
    // Who does not hear it now is told with the next stream.
    api.PUT('/presence', { body: { console: consoleName, ...now } }).catch(() => undefined);
  }, []);

  const be = useCallback(
    (where: string, editing: boolean) => {
      place.current = { where, editing };
      clearTimeout(settling.current);
      settling.current = setTimeout(say, settleTime);
    },
    [say],
  );

  useEffect(() => {
    const tell = (n: Notice) => {
      if (!isOwn(n.request)) for (const l of listeners.current) l(n);
    };
    const onChange = (n: Notice) => {
      const stale = staleAfter(n.kind);
      void client.invalidateQueries({ predicate: (q) => stale.has(String(q.queryKey[0])) });
      // The notice of an own change may come before the answer to it.
      if (n.principal === own) setTimeout(() => tell(n), answerTime);
      else tell(n);
    };
    const onPresent = (all: Present[]) => {
      setPresent(all);
      if (sent.current.where !== '' && !all.some((p) => p.own)) {
        sent.current = { where: '', editing: false };
        clearTimeout(settling.current);
        settling.current = setTimeout(say, settleTime);
      }
    };
    let away = false;
    heard.current = new Date().toISOString();
    return listen({
      url: () => {
        const { where, editing } = place.current;
        sent.current = place.current;
        return `${apiURL()}/notices?${new URLSearchParams({ console: consoleName, where, editing: String(editing) }).toString()}`;
      },
      onHeard: () => {
        heard.current = new Date().toISOString();
      },
      onState: (is) => {
        setConnected(is);
        if (is) {
          // What was shown while nobody told may be old, all of it.
          if (away) void client.invalidateQueries();
          setLost(undefined);
        } else {
          setLost((was) => was ?? heard.current);
          setPresent([]);
        }
        away = !is;
      },
      onEvent: (e) => {
        if (e.name === 'change') onChange(parse<Notice>(e));
        else if (e.name === 'present') onPresent(parse<Present[]>(e));
        else if (e.name === 'missed') void client.invalidateQueries();
      },
    });
  }, [client, own, say]);

  const subscribe = useCallback((listener: (n: Notice) => void) => {
    listeners.current.add(listener);
    return () => void listeners.current.delete(listener);
  }, []);
  const notices = useMemo<Notices>(
    () => ({ subscribe, present, be, connected, lost }),
    [subscribe, present, be, connected, lost],
  );
  return <NoticesContext value={notices}>{children}</NoticesContext>;
}
