import { expect, test } from 'vitest';
import { keyed } from './itemKeys';

const [a, b, c] = [{ name: 'a' }, { name: 'b' }, { name: 'c' }];
const first = keyed([a, b, c], { items: [], keys: [] });
const [ka, kb, kc] = first.keys;

test('each item has a key of its own', () => {
  expect(new Set(first.keys).size).toBe(3);
});

test('an item keeps its key while it moves, and while others come and go', () => {
  expect(keyed([c, a, b], first).keys).toEqual([kc, ka, kb]);
  expect(keyed([a, c], first).keys).toEqual([ka, kc]);
  expect(keyed([a, b, c, { name: 'd' }], first).keys.slice(0, 3)).toEqual([ka, kb, kc]);
});

test('an item keeps its key while it is edited, and another in its place has another', () => {
  const edited = keyed([a, { name: 'bb' }, c], first);
  expect(edited.keys).toEqual([ka, kb, kc]);
  expect(keyed([a, { name: 'x' }], edited).keys[1]).not.toBe(kb);
});
