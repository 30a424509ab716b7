import { expect, test } from 'vitest';
import { anew, freeName, identityOf, matched, over } from './importing';

const row = (id: string, name: string) => ({
  id,
  name,
  revision: 1,
  etag: 'x',
  author: 'a',
  time: '2026-01-01T00:00:00Z',
});
const all = [row('one', 'Office'), row('two', 'Büro'), row('three', 'Office - 2')];
const document = (metadata: Record<string, string>) => ({ apiVersion: 'dormer/v1', metadata, grants: [] });

test('a document is about the workspace of its identity, or of its name without regard to case', () => {
  expect(matched(document({ id: 'two', name: 'Office' }), all)?.id).toBe('two');
  expect(matched(document({ id: 'elsewhere', name: 'OFFICE' }), all)?.id).toBe('one');
  expect(matched(document({ name: 'BU\u0308RO' }), all)?.id).toBe('two');
  expect(matched(document({ name: 'Other' }), all)).toBeUndefined();
  expect(matched({}, all)).toBeUndefined();
});

test('a document becomes a new workspace, or that of another', () => {
  const given = document({ id: 'two', name: 'Office' });
  expect(identityOf(anew(given, 'New'))).toEqual({ id: '', name: 'New' });
  expect(identityOf(over(given, 'one'))).toEqual({ id: 'one', name: 'Office' });
});

test('names are numbered until one is free', () => {
  expect(freeName('office', all)).toBe('office - 3');
  expect(freeName('Other', all)).toBe('Other');
});
