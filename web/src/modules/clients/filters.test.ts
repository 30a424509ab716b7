import { describe, expect, it } from 'vitest';
import { filtersOf, parametersOf, queryOf, selects } from './filters';

describe('filters of the list of clients', () => {
  it('go into the address and come back', () => {
    const params = new URLSearchParams(
      'search=a+b%25&state=beyond-limit&version=1.0&sort=last-seen&descending=true&page=3&size=100',
    );
    expect(parametersOf(filtersOf(params)).toString()).toBe(params.toString());
  });

  it('are those that are not revoked when the address says nothing', () => {
    const f = filtersOf(new URLSearchParams());
    expect(parametersOf(f).toString()).toBe('');
    expect(selects(f)).toBe(false);
    expect(queryOf(f)).toEqual({ state: 'active', sort: 'host', descending: false, offset: 0, limit: 50 });
  });

  it('pass over numbers that are none', () => {
    const f = filtersOf(new URLSearchParams('page=-1&size=x'));
    expect([f.page, f.size]).toEqual([1, 50]);
    expect(filtersOf(new URLSearchParams('size=100000')).size).toBe(500);
  });

  it('ask for the rows of their page', () => {
    expect(queryOf(filtersOf(new URLSearchParams('page=3&size=20&state=')))).toEqual({
      sort: 'host',
      descending: false,
      offset: 40,
      limit: 20,
    });
  });
});
