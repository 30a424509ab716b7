import { expect, test } from 'vitest';
import { filters, findings, type Row } from './findings';

const figures = {
  image: 'office',
  image_version: 1,
  grants: 2,
  disabled: 0,
  expired: 0,
  machines: 0,
  running: 0,
  clients: 0,
};
const row = (more: object): Row => ({
  id: 'a',
  name: 'A',
  revision: 1,
  etag: 'x',
  author: 'a',
  time: '2026-01-01T00:00:00Z',
  figures: { ...figures, ...more },
});
const texts = (w: Row) => findings(w).map((f) => f.text);

test('a workspace in order has no findings', () => {
  expect(findings(row({}))).toEqual([]);
  expect(filters['wrong']?.fits(row({}))).toBe(false);
});

test('what is wrong is said, the worst first', () => {
  const w = row({ image_problem: 'image office is not in the repository', disabled: 1, expired: 1 });
  expect(texts(w)).toEqual(['no image', 'no grant gives anything', '1 grant expired', '1 grant disabled']);
  expect(filters['wrong']?.fits(w)).toBe(true);
  expect(filters['without-image']?.fits(w)).toBe(true);
});

test('nobody, and unreadable', () => {
  expect(texts(row({ grants: 0 }))).toEqual(['granted to nobody']);
  expect(filters['wrong']?.fits(row({ grants: 0 }))).toBe(false);
  const unread: Row = { ...row({}), figures: undefined };
  expect(texts(unread)).toEqual(['cannot be read']);
});
