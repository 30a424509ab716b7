import type { Schemas } from '../../api/client';

type Group = Schemas['Group'];

/** The groups that are in a group, directly or in one another, by identity; the group itself among them. */
export function groupsWithin(id: string, all: Group[]): Set<string> {
  const byID = new Map(all.map((g) => [g.id, g]));
  const found = new Set([id]);
  for (const at of found) {
    for (const m of byID.get(at)?.members ?? []) if (m.kind === 'group') found.add(m.id);
  }
  return found;
}

/** How many users are in a group, those of the groups in it among them. */
export function peopleIn(id: string, all: Group[]): number {
  const within = groupsWithin(id, all);
  const users = all.filter((g) => within.has(g.id)).flatMap((g) => g.members.filter((m) => m.kind === 'user'));
  return new Set(users.map((m) => m.id)).size;
}
