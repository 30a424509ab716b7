import { expect, test } from 'vitest';
import { accountOf } from './account';

test('names without a directory are of the first one', () => {
  const alice = { kind: 'user', directory: 'corp', key: 'S-1-5-21-1', name: 'alice' } as const;
  expect(accountOf(alice, ['corp', 'local'])).toBe('alice');
  expect(accountOf(alice, ['local', 'corp'])).toBe('corp\\alice');
});
