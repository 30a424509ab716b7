import { useCallback, useLayoutEffect, useMemo, useRef } from 'react';
import { isObject, same, type Json } from '../../document/json';
import { useShelved } from '../../document/shelf';
import { useWho } from '../../session/session';
import type { Held } from './calls';
import { discardDraft, draftKey, drafts, type Kept } from './drafts';

/** A document that is being edited over the revision that edits began with. */
export interface Work {
  document: Json;
  /** The revision that edits began with; the current one while there are none. */
  base: Held;
  dirty: boolean;
  /** A text of the YAML view that is no document: nothing else can be changed until it is one. */
  text: Kept['text'];
  set: (document: Json) => void;
  /** Changes the document as it stands then, even when its page was left. */
  edit: (make: (document: Json) => Json) => void;
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
  const key = draftKey(useWho(), id);
  const kept = useShelved(drafts, key);
  const newest = useRef(current);
  useLayoutEffect(() => {
    newest.current = current;
  }, [current]);
  const change = useCallback(
    (how: (now: Kept) => Kept) => {
      const now = how(drafts.get(key) ?? { document: newest.current.document, base: newest.current });
      drafts.set(key, now.text === undefined && same(now.document, now.base.document) ? null : now);
    },
    [key],
  );
  const edit = useCallback(
    (make: (document: Json) => Json) =>
      change((now) => ({ document: withIdentity(make(now.document), now.base.document), base: now.base })),
    [change],
  );
  const set = useCallback((document: Json) => edit(() => document), [edit]);
  const setText = useCallback((text: Kept['text']) => change((now) => ({ ...now, text })), [change]);
  const rebase = useCallback((document: Json, onto: Held) => change(() => ({ document, base: onto })), [change]);
  const discard = useCallback(() => discardDraft(key), [key]);
  return useMemo(
    () => ({
      document: kept?.document ?? current.document,
      base: kept?.base ?? current,
      dirty: kept !== null,
      text: kept?.text,
      set,
      edit,
      setText,
      rebase,
      discard,
    }),
    [kept, current, set, edit, setText, rebase, discard],
  );
}

/** Which workspace a document is about is no matter of its text. */
function withIdentity(document: Json, base: Json): Json {
  const id = isObject(base) && isObject(base['metadata']) ? base['metadata']['id'] : undefined;
  if (id === undefined || !isObject(document)) return document;
  const metadata = isObject(document['metadata']) ? document['metadata'] : {};
  return metadata['id'] === id ? document : { ...document, metadata: { ...metadata, id } };
}
