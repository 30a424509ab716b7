const done: Record<string, string> = {
  'image.commit': 'uploaded a version of',
  'image.delete': 'deleted versions of',
  acknowledge: 'acknowledged',
  'add-member': 'added a member to',
  change: 'changed',
  clone: 'cloned',
  commit: 'committed a change of',
  delete: 'deleted',
  diagnostics: 'asked for diagnostics of',
  order: 'given an order to',
  password: 'set the password of',
  'remove-member': 'removed a member of',
  rename: 'renamed',
  revoke: 'revoked',
  save: 'saved',
  set: 'changed',
  'withdraw-order': 'withdrawn an order to',
};

/** What somebody has done with a thing, from an action of the audit log: "workspace.commit" is "committed a change of". */
export const doneWith = (action: string): string =>
  done[action] ?? done[action.slice(action.indexOf('.') + 1)] ?? 'changed';
