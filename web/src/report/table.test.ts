import { describe, expect, it } from 'vitest';
import { filters, groupedBy, orderOf, rowsOf, shown, textOf, timeOf, ungrouped, type Column } from './table';

const column = (name: string, rank: number): Column => ({ name, title: name.toUpperCase(), type: 'text', rank });

describe('tables of reports', () => {
  it('show the columns that fit, or those chosen in their order', () => {
    const all = [column('id', 0), column('user', 4), column('guest', 11)];
    expect(shown(all, {}).map((c) => c.name)).toEqual(['user']);
    expect(shown(all, { columns: ['guest', 'gone', 'id'] }).map((c) => c.name)).toEqual(['guest', 'id']);
    expect(shown(all, { group: ['user'] })).toHaveLength(3);
  });

  it('lead from a group to its rows, whatever is in its columns', () => {
    const query = { days: 3, group: ['host', 'image', 'code'], sort: '-count', equal: { user: 'a' } };
    expect(rowsOf(query, { host: 'PC, 1=2', code: 503, count: 7 })).toEqual({
      days: 3,
      equal: { user: 'a', host: 'PC, 1=2', image: '', code: '503' },
    });
  });

  it('write values as the filters take them', () => {
    expect([textOf(undefined), textOf(false), textOf(503), textOf(['a', 'b'])]).toEqual(['', 'false', '503', 'a, b']);
  });

  it('are in the order of the server when nobody asked for one', () => {
    expect(orderOf('errors', {})).toEqual({ column: 'received', descending: true });
    expect(orderOf('status', { group: ['host'] })).toEqual({ column: 'count', descending: true });
    expect(orderOf('status', { sort: 'host' })).toEqual({ column: 'host', descending: false });
  });

  it('are grouped by columns in an order', () => {
    expect(groupedBy({ sort: 'user', columns: ['x'] }, 'host')).toEqual({ group: ['host'] });
    expect(groupedBy({ group: ['a', 'b', 'c'] }, 'c', 0)).toEqual({ group: ['c', 'a', 'b'] });
    expect(ungrouped({ group: ['a', 'b'] }, 'a')).toEqual({ group: ['b'] });
    expect(ungrouped({ group: ['a'], sort: 'first' }, 'a')).toEqual({});
  });

  it('say which filters are on, and how it is without each', () => {
    const query = { days: 1, user: 'ann', code: [503, 402], equal: { image: '', host: 'PC' } };
    const on = filters(query, (c) => c.toUpperCase());
    expect(on.map((f) => `${f.name}: ${f.value}`)).toEqual([
      'User contains: ann',
      'Event: 503, 402',
      'IMAGE: nothing',
      'HOST: PC',
    ]);
    expect(on[2]?.without).toEqual({ days: 1, user: 'ann', code: [503, 402], equal: { host: 'PC' } });
    expect(filters({ equal: { host: 'PC' } }, (c) => c)[0]?.without).toEqual({});
  });

  it('say of which time they are', () => {
    expect(timeOf({})).toBe('last 7 days');
    expect(timeOf({ days: 1 })).toBe('last day');
    expect(timeOf({ since: '2026-11-22T08:00', until: '2026-11-23' })).toBe('from 2026-11-22 08:00 until 2026-11-23');
  });
});
