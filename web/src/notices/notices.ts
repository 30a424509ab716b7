import { createContext, useContext, useEffect } from 'react';
import type { Schemas } from '../api/client';

/** A change that somebody made, as the server tells it. */
export type Notice = Schemas['Notice'];

/** Somebody whose console shows a page now, a path of the console: workspaces/ID. */
export type Present = Schemas['Present'];

export interface Notices {
  /** Calls listen with each change that another console or program made; returns how to stop. */
  subscribe: (listen: (n: Notice) => void) => () => void;
  /** Who is where now, this console among them. */
  present: Present[];
  /** Says that this console shows a page, and whether something is being edited there. */
  be: (where: string, editing: boolean) => void;
  /** Whether the server tells at the moment; false: what is shown may be old. */
  connected: boolean;
  /** Since when the server does not tell, while it does not. */
  lost?: string;
}

export const NoticesContext = createContext<Notices>({
  subscribe: () => () => undefined,
  present: [],
  be: () => undefined,
  connected: false,
});

export const useNotices = (): Notices => useContext(NoticesContext);

/** Calls listen with each change that others made while the component is shown. */
export function useNotice(listen: (n: Notice) => void): void {
  const { subscribe } = useNotices();
  useEffect(() => subscribe(listen), [subscribe, listen]);
}

/** Says that this page is shown, and returns the others who have it on the screen. */
export function usePresence(where: string, editing: boolean): Present[] {
  const { be, present } = useNotices();
  useEffect(() => {
    be(where, editing);
    return () => be('', false);
  }, [be, where, editing]);
  return present.filter((p) => !p.own && p.where === where);
}
