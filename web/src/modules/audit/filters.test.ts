import { describe, expect, it } from 'vitest';
import { exportPath, filtersOf, objectOf } from './filters';

describe('filters of the audit log', () => {
  it('come from the address, without those that are empty or unknown', () => {
    expect(filtersOf(new URLSearchParams('who=ann&action=&other=1&since=2026-11-01'))).toEqual({
      who: 'ann',
      since: '2026-11-01',
    });
  });

  it('go into the address of an export, escaped', () => {
    expect(exportPath({ who: 'a&b' }, 'Europe/Berlin', 'csv')).toBe(
      '/audit/export?who=a%26b&tz=Europe%2FBerlin&format=csv',
    );
  });
});

describe('the object of a record', () => {
  it('leads to its page by identity', () => {
    expect(objectOf('workspace.commit', 'Office (2024) (abc123)')).toEqual({
      name: 'Office (2024)',
      page: '/workspaces/abc123',
    });
  });

  it('may be somebody of a directory', () => {
    expect(objectOf('operator.set', 'alice (local/nzpov7)')).toEqual({ name: 'alice', page: '/settings/operators' });
  });

  it('leads nowhere when it is gone', () => {
    expect(objectOf('workspace.delete', 'Office (abc123)')).toEqual({ name: 'Office', page: undefined });
  });

  it('is shown as it is when it has no identity', () => {
    expect(objectOf('report.save', 'Weekly (all)')).toEqual({ name: 'Weekly (all)', page: undefined });
    expect(objectOf('image.commit', 'office-desktop/2').page).toBe('/images/office-desktop');
    expect(objectOf('image.push', 'office-desktop')).toEqual({
      name: 'office-desktop',
      page: '/images/office-desktop',
    });
  });
});
