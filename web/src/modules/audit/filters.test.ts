import { describe, expect, it } from 'vitest';
import { exportPath, filtersOf } from './filters';

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
