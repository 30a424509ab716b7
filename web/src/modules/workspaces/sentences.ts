import type { Change } from '../../document/difference';
import { plain } from '../../document/reading';

const longest = 120;

const short = (text: string): string => (text.length > longest ? `${text.slice(0, longest)}…` : text);

/** What a change does, in words, after the name of what it is about. */
export function said(c: Change): string {
  if (c.order) return 'is in another order';
  const before = plain(c.before);
  const after = plain(c.after);
  if (c.before === undefined) return after === undefined ? 'is added' : `is set to ${short(after)}`;
  if (c.after === undefined)
    return before === undefined ? 'is taken away' : `is not set any more (was ${short(before)})`;
  if (before === undefined || after === undefined) return 'is changed';
  return `is ${short(after)} (was ${short(before)})`;
}
