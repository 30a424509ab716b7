import { expect, it } from 'vitest';
import { replaced, taken, type SavedReport } from './savedReports';

const saved = (name: string): SavedReport => ({
  name,
  report: 'errors',
  description: '',
  query: {},
  changed: '2026-03-01T08:00:00Z',
  changed_by: 'bob',
});

it('finds the report of somebody else that a name would replace, whatever its case', () => {
  const all = [saved('Weekly'), saved('Of hosts')];
  expect(replaced(all, 'of HOSTS', undefined)?.name).toBe('Of hosts');
  expect(replaced(all, 'Monthly', undefined)).toBeUndefined();
  expect(replaced(all, 'Weekly', 'Of hosts')?.name).toBe('Weekly');
});

it('lets a report keep its own name, and write it otherwise', () => {
  expect(replaced([saved('Weekly')], 'WEEKLY', 'Weekly')).toBeUndefined();
});

it('says at the name that it is taken, and by whom', () => {
  expect(taken(saved('Weekly')).fields).toEqual([{ path: 'name', message: expect.stringContaining('bob') as string }]);
});
