/** Identity in "name (identity)" or "name (directory/identity)" at the end of an object of the log. */
const identity = /^(.*) \((?:[^()/\s]+\/)?([A-Za-z0-9-]+)\)$/su;

/** The kinds of things that have identities; what has none may be called "Weekly (all)". */
const identified = new Set([
  'workspace',
  'client',
  'join-token',
  'api-token',
  'operator',
  'user',
  'group',
  'publisher',
]);

/** Which page of the console shows the objects of a kind, by the part of the action before its dot. */
const pages: Record<string, (id: string, name: string) => string> = {
  workspace: (id) => `/workspaces/${id}`,
  client: (id) => `/clients/${id}`,
  image: (_, name) => `/images/${encodeURIComponent(name.split('/')[0] ?? name)}`,
  'join-token': () => '/settings/join-tokens',
  'api-token': () => '/settings/api-tokens',
  operator: () => '/settings/operators',
  user: () => '/settings/users',
  group: () => '/settings/groups',
  secret: () => '/settings/secrets',
  publisher: () => '/settings/publishers',
  'alert-rule': () => '/alerts/rules',
};

/** The page that shows what a record is about, and its name; no page: nothing shows it, or it is gone. */
export function objectOf(action: string, object: string): { name: string; page?: string } {
  const [kind = '', verb = ''] = action.split('.');
  const [, name = object, id = ''] = (identified.has(kind) && identity.exec(object)) || [];
  const gone = verb === 'delete' || verb === 'remove';
  const page = object === '' || gone ? undefined : pages[kind]?.(id, name);
  return { name, page };
}
