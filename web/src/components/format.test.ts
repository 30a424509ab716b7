import { expect, test } from 'vitest';
import { part } from './format';

test.each([
  [29, 100, '29 %'],
  [57, 100, '57 %'],
  [9997, 10_000, '99 %'],
  [10_000, 10_000, '100 %'],
  [3 * 2 ** 40 - 1, 3 * 2 ** 40, '99 %'],
  [0, 100, '0 %'],
  [0, 0, 'nothing'],
])('%d of %d is %s', (of, whole, text) => expect(part(of, whole)).toBe(text));
