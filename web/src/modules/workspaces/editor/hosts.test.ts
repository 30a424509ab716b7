import { expect, test } from 'vitest';
import type { Json } from '../../../document/json';
import { defaultRows, rowFor } from './hosts';

const memory: Json = [{ guest: '1GiB' }, { host: '8GiB', guest: '2GiB' }, { host: '16384MiB', guest: '6GiB' }];

test.each([
  [4, '1GiB', 0],
  [8, '2GiB', 1],
  [15.9, '2GiB', 1],
  [64, '6GiB', 2],
])('a host of %s GiB gives %s', (host, guest, row) => {
  expect(rowFor(memory, host * 1024)).toEqual({ guest, row });
});

test('processors are counted', () => {
  expect(rowFor([{ guest: 1 }, { host: 4, guest: 2 }], 6)).toEqual({ guest: 2, row: 1 });
});

test('no table says nothing', () => {
  expect(rowFor(undefined, 8)).toBeUndefined();
  expect(rowFor([], 8)).toBeUndefined();
});

test('the first row holds for all smaller hosts', () => {
  expect(rowFor([{ host: '8GiB', guest: '2GiB' }], 4096)).toEqual({ guest: '2GiB', row: 0 });
});

test('the default is read from words', () => {
  expect(defaultRows('1GiB, from 8GiB 2GiB')).toEqual([{ guest: '1GiB' }, { host: '8GiB', guest: '2GiB' }]);
  expect(rowFor(defaultRows('1, from 4 2, from 8 4'), 6)).toEqual({ guest: 2, row: 1 });
});
