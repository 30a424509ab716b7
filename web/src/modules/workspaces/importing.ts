import type { Schemas } from '../../api/client';
import { asText, type Json } from '../../document/json';
import { valueAt, withValue } from '../../document/paths';

/** Name and identity that a document gives itself; empty: none. */
export const identityOf = (document: Json): { id: string; name: string } => ({
  id: asText(valueAt(document, 'metadata.id')),
  name: asText(valueAt(document, 'metadata.name')),
});

const folded = (name: string): string => name.normalize('NFC').toLowerCase();

/** The workspace that a document is about: of its identity, or else of its name, as `dormer apply` finds it. */
export function matched(document: Json, all: Schemas['Workspace'][]): Schemas['Workspace'] | undefined {
  const { id, name } = identityOf(document);
  return (id === '' ? undefined : all.find((w) => w.id === id)) ?? all.find((w) => folded(w.name) === folded(name));
}

/** The document under another name, and without an identity: a new workspace. */
export const anew = (document: Json, name: string): Json =>
  withValue(withValue(document, 'metadata.id', undefined), 'metadata.name', name);

/** The document as that of a workspace that is there: its identity is the workspace's. */
export const over = (document: Json, id: string): Json => withValue(document, 'metadata.id', id);

/** The first name that is free: NAME, NAME - 2, NAME - 3, ... */
export function freeName(name: string, all: Schemas['Workspace'][]): string {
  const taken = new Set(all.map((w) => folded(w.name)));
  let free = name;
  for (let n = 2; taken.has(folded(free)); n += 1) free = `${name} - ${n}`;
  return free;
}
