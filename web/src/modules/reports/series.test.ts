import { describe, expect, it } from 'vitest';
import { eventFigures, onlineFigures, versionFigures, versioned } from './series';

const day = (d: string, error = 0) => ({ day: d, information: 9, warning: 2, error });

describe('figures of trends', () => {
  const trends = {
    tz: 'Europe/Berlin',
    days: [day('2026-11-19'), day('2026-11-20'), day('2026-11-21', 4), day('2026-11-22')],
    online: [
      { time: '2026-11-20T10:00:00Z', clients: 5 },
      { time: '2026-11-20T11:00:00Z', clients: 8 },
      { time: '2026-11-21T23:30:00Z', clients: 3 },
    ],
    versions: [
      { of: 'client-version', version: '1.2', now: 3, days: [0, 0, 1, 3] },
      { of: 'policy', version: 'Büro revision 1 revision 12', now: 1, days: [0, 0, 0, 1] },
    ],
  };

  it('lead from a day to its events', () => {
    const { points, series } = eventFigures(trends);
    expect(points[2]).toBe('2026-11-21');
    expect(series[0]?.values).toEqual([0, 0, 4, 0]);
    expect(series[0]?.link(2)).toBe('/reports/activity?since=2026-11-21&until=2026-11-21&severity=error');
  });

  it('have the most clients of each day in the zone, and say where nobody looked', () => {
    const { points, series } = onlineFigures(trends, 'Europe/Berlin');
    expect(points).toEqual(['2026-11-19', '2026-11-20', '2026-11-21', '2026-11-22']);
    expect(series[0]?.values).toEqual([null, 8, null, 3]);
  });

  it('are by the hour where there are few days', () => {
    const { points, series } = onlineFigures({ ...trends, days: trends.days.slice(2) }, 'UTC');
    expect(points).toEqual(['2026-11-20 10:00', '2026-11-20 11:00', '2026-11-21 23:30']);
    expect(series[0]?.values).toEqual([5, 8, 3]);
  });

  it('lead from a version to who has it', () => {
    const policy = versioned.find((v) => v.of === 'policy');
    const { series } = versionFigures(trends, 'policy', policy?.rows ?? (() => ({})));
    expect(series[0]?.link(0)).toBe(
      '/reports/status?days=30&equal=workspace%3DB%C3%BCro+revision+1&equal=held_revision%3D12',
    );
  });
});
