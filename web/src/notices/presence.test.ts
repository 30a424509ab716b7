import { expect, it } from 'vitest';
import type { Present } from './notices';
import { oncePerOperator } from './presence';
import { staleAfter } from './related';

const at = (who: string, editing: boolean): Present => ({
  who,
  principal: `local/${who}`,
  where: 'workspaces/x',
  editing,
  since: '2026-11-22T12:00:00Z',
  own: false,
});

it('names operators once, who edits first', () => {
  const shown = oncePerOperator([at('bob', false), at('alice', false), at('carol', true), at('bob', true)]);
  expect(shown.map((p) => `${p.who} ${p.editing}`)).toEqual(['bob true', 'carol true', 'alice false']);
});

it('knows what else a change makes old', () => {
  expect([...staleAfter('alert-rule')]).toEqual(['alert-rule', 'alert', 'audit', 'overview', 'health']);
  expect(staleAfter('something-new').has('something-new')).toBe(true);
});
