import type { Json } from '../../document/json';
import { merge } from '../../document/merge';
import { shelf } from '../../document/shelf';
import type { Held } from './calls';

/** What somebody changed and did not commit yet, and what they began with. */
export interface Kept {
  document: Json;
  base: Held;
  /** A text of the YAML view that is no document. */
  text?: { text: string; line: number; message: string } | undefined;
}

function read(text: string | null): Kept | null {
  try {
    const kept: unknown = JSON.parse(text ?? 'null');
    if (typeof kept !== 'object' || kept === null || !('document' in kept) || !('base' in kept)) return null;
    return kept as Kept;
  } catch {
    return null;
  }
}

/** The drafts in this tab of the browser; null: there is none. They stay through a page that is loaded again. */
export const drafts = shelf<Kept | null>({
  storage: () => sessionStorage,
  read,
  write: (kept) => (kept ? JSON.stringify(kept) : null),
});

/** Names the draft that somebody has of a workspace: who signs in next in this tab has their own. */
export const draftKey = (who: string, workspace: string): string => `dormer.draft.${who}.${workspace}`;

/** Forgets a draft, and returns how to bring it back: together with what was edited since. */
export function discardDraft(key: string): () => void {
  const thrown = drafts.get(key);
  drafts.set(key, null);
  return () => {
    if (!thrown) return;
    const now = drafts.get(key);
    drafts.set(
      key,
      now ? { ...now, document: merge(thrown.base.document, now.document, thrown.document).merged } : thrown,
    );
  };
}
