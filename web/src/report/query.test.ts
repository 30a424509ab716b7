import { describe, expect, it } from 'vitest';
import { reportLink } from './link';
import { parameters, queryOf, type Query } from './query';

describe('queries of reports', () => {
  it.each<Query>([
    {},
    { days: 30, severity: ['warning', 'error'], code: [503, 640] },
    { since: '2026-11-22T08:00', until: '2026-11-23', user: 'a&b=c', host: '<script>' },
    { equal: { description: 'no, a = b', image: '' }, group: ['code', 'host'], sort: '-count' },
    { columns: ['received', 'user'], category: ['image'], instances: ['all'], workspace: 'Büro', client: 'abc' },
  ])('come back from the address: %j', (query) => {
    expect(queryOf(new URLSearchParams(parameters(query).toString()))).toEqual(query);
  });

  it('take what people type, and leave out what is no number', () => {
    expect(queryOf(new URLSearchParams('days=x&code=503,,y&severity=error&severity=warning&equal=nothing'))).toEqual({
      code: [503],
      severity: ['error', 'warning'],
    });
  });

  it('are in links', () => {
    expect(reportLink('status')).toBe('/reports/status');
    expect(reportLink('errors', { days: 1, host: 'pc 1' })).toBe('/reports/errors?days=1&host=pc+1');
  });
});
