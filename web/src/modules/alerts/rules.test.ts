import { describe, expect, it } from 'vitest';
import { blank, condition, eventsOf, outcomes, spanOf, subjectOf, trial, type Alert, type Rule } from './rules';

const alert: Alert = {
  id: 1,
  rule: 'r',
  key: 'abc',
  severity: 'warning',
  text: 't',
  raised: '2026-11-22T10:00:00Z',
  last: '2026-11-22T10:00:00Z',
  count: 1,
};
const observes = (state: Rule['state']): string => condition({ ...blank, events: undefined, state });
const byImage: Rule = {
  ...blank,
  events: { codes: [503, 402], counts: 'clients', threshold: 2, window: '1h', by: 'image' },
};

describe('rules of alerts', () => {
  it.each([
    ['90s', 90],
    ['1h30m', 5400],
    ['7d', 604_800],
    ['', undefined],
    ['10', undefined],
    ['ten minutes', undefined],
  ])('have times: %s', (text, want) => {
    expect(spanOf(text)).toBe(want);
  });

  it('lead to the events that raised an alert', () => {
    expect(eventsOf(alert, blank)).toBe(
      '/reports/activity?since=2026-11-22T09%3A50%3A00.000Z&severity=error&equal=client%3Dabc',
    );
    expect(eventsOf({ ...alert, key: '*' }, byImage)).toBe(
      '/reports/activity?since=2026-11-22T09%3A00%3A00.000Z&code=503%2C402',
    );
    expect(eventsOf(alert, { ...blank, events: undefined as never })).toBeUndefined();
  });

  it('lead to what an alert is about', () => {
    expect(subjectOf(alert, blank)).toBe('/clients/abc');
    expect(subjectOf({ ...alert, key: 'office/3' }, byImage)).toBe('/images/office');
    expect(subjectOf({ ...alert, key: '*' }, byImage)).toBeUndefined();
    const { events: _, ...rest } = blank;
    expect(subjectOf(alert, { ...rest, state: { observed: 'disk_used', comparison: 'above', value: 85 } })).toBe(
      '/settings/server',
    );
  });

  it('read as a line', () => {
    expect(
      condition({ ...blank, events: { ...blank.events, threshold: 1, codes: [112, 301, 701] } as Rule['events'] }),
    ).toBe('1 event 112, 301 or 701 at least error within 10m, for each client');
    expect(condition(blank)).toBe('20 events at least error within 10m, for each client');
    expect(observes({ observed: 'disk_used', comparison: 'above', value: 85, for: '1h' })).toBe(
      'Disk of the data and repository folders above 85 per cent for 1h',
    );
    expect(observes({ observed: 'database_away', comparison: 'above', value: 0, for: '30s' })).toBe(
      'A database does not answer for 30s',
    );
    expect(condition(byImage)).toBe('2 clients with events 503 or 402 within 1h, for each image');
  });

  it('are tried on what happened', () => {
    const now = new Date('2026-11-22T10:00:00Z').getTime();
    expect(trial(byImage, now)).toEqual({
      code: [503, 402],
      since: '2026-11-22T09:00:00.000Z',
      group: ['image', 'client'],
    });
    const rows = [
      { image: 'a/1', client: 'x', count: 9 },
      { image: 'b/1', client: 'x', count: 1 },
      { image: 'b/1', client: 'y', count: 1 },
      { client: 'z', count: 4 },
    ];
    expect(outcomes(byImage, rows)).toEqual([
      { subject: 'b/1', count: 2, raises: true },
      { subject: 'a/1', count: 1, raises: false },
    ]);
  });
});
