import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { isObject, same, type Json } from '../../document/json';
import type { Held } from './calls';

/** What somebody changed and did not commit yet, and what they began with. */
interface Kept {
  document: Json;
  base: Held;
  /** A text of the YAML view that is no document. */
  text?: { text: string; line: number; message: string } | undefined;
}

/** How long nothing has to change before a draft is kept, in milliseconds. */
const pause = 300;

const key = (id: string): string => `dormer.draft.${id}`;

/** What is kept of a draft in this tab of the browser, for a page that is loaded again. */
export function keptDraft(id: string): Kept | null {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(key(id)) ?? 'null');
    if (typeof kept !== 'object' || kept === null || !('document' in kept) || !('base' in kept)) return null;
    return kept as Kept;
  } catch {
    return null;
  }
}

/** Keeps a draft in this tab of the browser; null: there is none. A full store keeps the old one. */
export function keepDraft(id: string, kept: Kept | null): void {
  try {
    if (kept) sessionStorage.setItem(key(id), JSON.stringify(kept));
    else sessionStorage.removeItem(key(id));
  } catch {
    // The draft on the screen is not touched by it.
  }
}

/** A document that is being edited over the revision that edits began with. */
export interface Work {
  document: Json;
  /** The revision that edits began with; the current one while there are none. */
  base: Held;
  dirty: boolean;
  /** A text of the YAML view that is no document: nothing else can be changed until it is one. */
  text: Kept['text'];
  set: (document: Json) => void;
  setText: (text: Kept['text']) => void;
  /** Takes what was made of mine and of theirs: edits go on over theirs. */
  rebase: (document: Json, onto: Held) => void;
  /** Forgets the edits, and returns how to bring them back. */
  discard: () => () => void;
}

/**
 * Keeps the edits of a workspace. As long as there are none, what is shown is
 * what the server has: the changes of others come in by themselves. Edits
 * stay through a page that is loaded again and a session that ends.
 */
export function useDraft(id: string, current: Held): Work {
  const [kept, setKept] = useState<Kept | null>(() => keptDraft(id));
  // A draft can be long: while somebody types it is kept when they pause, or go.
  const latest = useRef(kept);
  useEffect(() => {
    latest.current = kept;
    const timer = setTimeout(() => keepDraft(id, kept), pause);
    return () => clearTimeout(timer);
  }, [id, kept]);
  useEffect(() => {
    const keep = () => keepDraft(id, latest.current);
    window.addEventListener('pagehide', keep);
    return () => {
      window.removeEventListener('pagehide', keep);
      keep();
    };
  }, [id]);
  const change = useCallback(
    (how: (now: Kept) => Kept) =>
      setKept((was) => {
        const now = how(was ?? { document: current.document, base: current });
        return now.text === undefined && same(now.document, now.base.document) ? null : now;
      }),
    [current],
  );
  const set = useCallback(
    (document: Json) => change((now) => ({ document: withIdentity(document, now.base.document), base: now.base })),
    [change],
  );
  const setText = useCallback((text: Kept['text']) => change((now) => ({ ...now, text })), [change]);
  const rebase = useCallback((document: Json, onto: Held) => change(() => ({ document, base: onto })), [change]);
  const discard = useCallback(() => {
    setKept(null);
    return () => setKept(kept);
  }, [kept]);
  return useMemo(
    () => ({
      document: kept?.document ?? current.document,
      base: kept?.base ?? current,
      dirty: kept !== null,
      text: kept?.text,
      set,
      setText,
      rebase,
      discard,
    }),
    [kept, current, set, setText, rebase, discard],
  );
}

/** Which workspace a document is about is no matter of its text. */
function withIdentity(document: Json, base: Json): Json {
  const id = isObject(base) && isObject(base['metadata']) ? base['metadata']['id'] : undefined;
  if (id === undefined || !isObject(document)) return document;
  const metadata = isObject(document['metadata']) ? document['metadata'] : {};
  return metadata['id'] === id ? document : { ...document, metadata: { ...metadata, id } };
}
