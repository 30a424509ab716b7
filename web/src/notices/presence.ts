import type { Present } from './notices';

/** Operators with several consoles once, editing if they do in one of them; who edits comes first. */
export function oncePerOperator(present: Present[]): Present[] {
  const found = new Map<string, Present>();
  for (const p of present) {
    const other = found.get(p.principal);
    if (!other || (p.editing && !other.editing)) found.set(p.principal, p);
  }
  return [...found.values()].toSorted((a, b) => Number(b.editing) - Number(a.editing) || (a.who < b.who ? -1 : 1));
}
