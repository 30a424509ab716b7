import { expect, test } from 'vitest';
import { changes } from '../../document/difference';
import type { Json } from '../../document/json';
import { without } from './revert';

const base: Json = {
  metadata: { name: 'a', description: 'd' },
  spec: { machine: { revertible: true } },
  grants: [{ principal: { kind: 'user', name: 'x' } }, { principal: { kind: 'user', name: 'y' } }],
};

test.each<[string, Json]>([
  ['a value', { ...base, metadata: { name: 'b', description: 'd' } }],
  ['a member that was taken away', { ...base, metadata: { name: 'a' } }],
  ['a member that was added', { ...base, spec: { machine: { revertible: true }, network: { mode: 'nat' } } }],
  ['an item that was taken away', { ...base, grants: [{ principal: { kind: 'user', name: 'y' } }] }],
  [
    'an item that was added',
    {
      ...base,
      grants: [
        { principal: { kind: 'user', name: 'x' } },
        { principal: { kind: 'user', name: 'y' } },
        { principal: { kind: 'group', name: 'z' } },
      ],
    },
  ],
  [
    'a field of an item',
    {
      ...base,
      grants: [{ principal: { kind: 'user', name: 'x' }, enabled: false }, { principal: { kind: 'user', name: 'y' } }],
    },
  ],
])('%s is taken back', (_, changed) => {
  const [change, ...more] = changes(base, changed);
  expect(more).toEqual([]);
  expect(change && without(changed, change)).toEqual(base);
});

test('an order is not taken back by itself', () => {
  const changed = {
    metadata: { name: 'a' },
    grants: [{ principal: { kind: 'user', name: 'y' } }, { principal: { kind: 'user', name: 'x' } }],
  };
  const was = { metadata: { name: 'a' }, grants: [...changed.grants].toReversed() };
  const [change] = changes(was, changed);
  expect(change && without(changed, change)).toBeUndefined();
});
