/** What also is not the same any more when a thing of a kind was changed: kinds of queries. */
const related: Record<string, string[]> = {
  workspace: ['client', 'image', 'machine', 'deletions', 'group', 'user'],
  image: ['workspace'],
  publisher: ['image'],
  client: ['machine', 'join-token', 'deletions', 'workspace'],
  machine: ['client', 'deletions'],
  deletions: ['machine', 'client'],
  user: ['operator', 'group', 'workspace', 'directory'],
  group: ['operator', 'user', 'workspace', 'directory'],
  operator: ['session'],
  'alert-rule': ['alert'],
  secret: ['workspace'],
};

/** Kinds of queries that follow every change. */
const always = ['audit', 'overview', 'health'];

/** The kinds of queries whose answers a change of a kind may have made old. */
export const staleAfter = (kind: string): Set<string> => new Set([kind, ...(related[kind] ?? []), ...always]);
