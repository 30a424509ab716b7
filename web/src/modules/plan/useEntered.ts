import { useCallback } from 'react';
import type { Json } from '../../document/json';
import { useShelved } from '../../document/shelf';
import { undone } from '../../form/undo';
import { useWho } from '../../session/session';
import { draftKey, drafts, type Entered } from './drafts';

/** What somebody works on, and how it is changed. */
export interface Work extends Entered {
  /** Changes the organization as it stands then. */
  edit: (make: (organization: Json) => Json) => void;
  /** Keeps a text that is no document until it is one; undefined: it is taken back. */
  setText: (text: Entered['text']) => void;
  /** Puts another organization in place of this one, and returns how that is undone: what is changed after stays. */
  replace: (organization: Json) => () => void;
}

/** The organization that is planned for, kept in this browser for who is signed in. */
export function useEntered(): Work {
  const key = draftKey(useWho());
  const entered = useShelved(drafts, key);
  const edit = useCallback<Work['edit']>(
    (make) => drafts.set(key, { organization: make(drafts.get(key).organization) }),
    [key],
  );
  const setText = useCallback<Work['setText']>(
    (text) => {
      const { organization } = drafts.get(key);
      drafts.set(key, text ? { organization, text } : { organization });
    },
    [key],
  );
  const replace = useCallback<Work['replace']>(
    (organization) => {
      const before = drafts.get(key);
      const after = { organization };
      drafts.set(key, after);
      return () => {
        const now = drafts.get(key);
        const back = undone(now.organization, before.organization, organization) ?? before.organization;
        drafts.set(key, now === after ? before : { organization: back });
      };
    },
    [key],
  );
  return { ...entered, edit, setText, replace };
}
