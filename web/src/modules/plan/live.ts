import { raw } from '../../api/client';
import type { Schemas } from '../../api/client';
import { Problem } from '../../api/problem';
import { plural } from '../../components/format';
import type { Json, JsonObject } from '../../document/json';
import { toYAML } from '../../document/yaml';
import { opened } from './drafts';

/** Puts what this instance has seen into an organization, and says what that changed. */
export async function observed(organization: Json): Promise<{ organization: JsonObject; says: string }> {
  const answer = await raw('/plan/observed', {
    method: 'POST',
    headers: { 'Content-Type': 'application/yaml' },
    body: toYAML(organization),
  });
  const { text, changes } = (await answer.json()) as Schemas['FilledPlan'];
  const got = opened(text);
  if ('problem' in got) throw new Problem({ title: got.problem, status: 0 });
  return {
    organization: got.organization,
    says: `${plural(changes.length, 'figure')} of this instance stand in the plan now`,
  };
}
