import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { api, data, type Schemas } from '../../../api/client';
import { asText, isObject, type Json, type JsonObject } from '../../../document/json';
import { valueAt } from '../../../document/paths';
import type { PrincipalState } from '../PrincipalStateLabel';

/** Names a principal, whatever else its grant says. */
const keyOf = (p: { kind: string; directory: string; name: string }): string =>
  [p.kind, p.directory, p.name].join('\n');

const principalOf = (grant: JsonObject) => ({
  kind: asText(valueAt(grant, 'principal.kind')) || 'user',
  directory: asText(valueAt(grant, 'principal.directory')) || 'local',
  name: asText(valueAt(grant, 'principal.name')),
});

/** What a grant is called: by who has it. */
export function grantName(grant: JsonObject): string {
  const { kind, directory, name } = principalOf(grant);
  return name === '' ? '' : `${name} (${kind} of ${directory})`;
}

/**
 * Returns what the directories know of the principal of a grant, as far as the
 * grant is committed; undefined: nothing is known yet.
 */
export function usePrincipalStates(document: Json): (grant: JsonObject) => PrincipalState | undefined {
  const id = asText(valueAt(document, 'metadata.id'));
  const states = useQuery({
    queryKey: ['workspace', id, 'principals'],
    enabled: id !== '',
    queryFn: () => data(api.GET('/workspaces/{id}/principals', { params: { path: { id } } })),
  });
  const { data: said } = states;
  return useMemo(() => {
    const known = new Map((said?.items ?? []).map((s) => [keyOf(s.principal), s]));
    return (grant: JsonObject) => known.get(keyOf(principalOf(grant)));
  }, [said]);
}

/** A new grant for somebody: without the directory where that is the server's own, as documents leave defaults out. */
export const grantOf = (p: Schemas['Principal']): JsonObject => ({
  principal: {
    kind: p.kind,
    name: p.name,
    ...(p.directory !== 'local' && { directory: p.directory }),
    ...(p.key && { key: p.key }),
  },
});

/** Returns the place of the grant that somebody has already; -1: none. */
export const grantPlace = (grants: Json[], p: Schemas['Principal']): number =>
  grants.findIndex((g) => isObject(g) && keyOf(principalOf(g)) === keyOf(p));
