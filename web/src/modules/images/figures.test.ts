import { describe, expect, test } from 'vitest';
import type { Schemas } from '../../api/client';
import { imagePath, versionPath } from '../../app/addresses';
import { deliveredText, newest, numbersText, total, usesOf } from './figures';

const version = (number: number): Schemas['ImageVersion'] => ({
  name: 'office',
  number,
  image: `sha256:${number}`,
  created: '2026-01-01T00:00:00Z',
  by: 'alice',
  sizes: { virtual: 9, full: 5, packed: 3 },
  stored: 3,
  unique: 1,
  publisher: 'k',
  machines: 0,
  clients: 0,
});

const image = (...numbers: number[]): Schemas['Image'] => ({
  name: 'office',
  versions: numbers.map(version),
  stored: 7,
  saved: 2,
  unique: 7,
  used_by: [
    { workspace: 'a', name: 'Office', number: 12, pinned: false },
    { workspace: 'b', name: 'Till', number: 2, pinned: true },
  ],
});

describe('figures of images', () => {
  test('the newest version has the highest number, wherever it stands', () => {
    expect(newest(image(2, 12, 9))?.number).toBe(12);
    expect(newest(image())).toBeUndefined();
  });

  test('who uses a version', () => {
    expect(usesOf(image(2, 12), 12).map((u) => u.name)).toEqual(['Office']);
    expect(usesOf(image(2, 12), 9)).toEqual([]);
  });

  test('names of any kind fit in an address', () => {
    expect(imagePath('büro#1%')).toBe('/images/b%C3%BCro%231%25');
    expect(versionPath('office', 3)).toBe('/images/office/3');
  });

  test('what all images take', () => {
    expect(total([image(1, 2), image(3)])).toEqual({ versions: 3, stored: 14, saved: 4 });
  });

  test('numbers in a sentence', () => {
    expect(numbersText([])).toBe('');
    expect(numbersText([3])).toBe('3');
    expect(numbersText([10, 2, 1])).toBe('1, 2 and 10');
    expect(numbersText([5, 4, 3, 2, 1], 2)).toBe('1, 2 and 3 more');
  });

  test('what deliveries of a version saved', () => {
    const none = { deliveries: 0, size: 0, fetched: 0, saved: 0 };
    const some = { deliveries: 3, size: 5 * 1024, fetched: 1025, saved: 4 * 1024 - 1 };
    const report = { tz: 'UTC', total: none, days: [], images: [] };
    expect(deliveredText(report)).toBe('to no client yet.');
    expect(
      deliveredText({ ...report, total: some, images: [{ image: 'sha256:1', name: 'office/1', clients: 2, ...some }] }),
    ).toBe('to 2 clients: 1 KiB of 5 KiB came over the network, 79 % saved.');
  });
});
