import { describe, expect, it } from 'vitest';
import { byteTicks, deliveryFigures, eventsLink } from './delivery';

const day = (d: string, fetched = 0, saved = 0) => ({ day: d, deliveries: 1, size: fetched + saved, fetched, saved });

describe('figures of deliveries', () => {
  const report = {
    tz: 'UTC',
    total: { deliveries: 3, size: 10 * 1024, fetched: 2 * 1024, saved: 8 * 1024 },
    days: [day('2026-11-21', 2048), day('2026-11-22', 0, 8192)],
    images: [],
  };

  it('are what came and what was saved, in bytes, and lead to the events of the day', () => {
    const { points, series, shown, events } = deliveryFigures(report);
    expect(points).toEqual(['2026-11-21', '2026-11-22']);
    expect(series.map((s) => [s.name, s.values])).toEqual([
      ['Over the network', [2048, 0]],
      ['Saved', [0, 8192]],
    ]);
    expect(shown?.(8192)).toBe('8 KiB');
    expect(events?.(0)).toBe('/reports/activity?since=2026-11-21&until=2026-11-21&code=401');
    expect(series[1]?.link(1)).toBe('/reports/activity?since=2026-11-22&until=2026-11-22&code=401');
  });

  it('lead from a version to the events that it was fetched', () => {
    expect(eventsLink(7)).toBe('/reports/activity?days=7&code=401');
    expect(eventsLink(7, 'office/3')).toBe('/reports/activity?days=7&code=401&equal=image%3Doffice%2F3');
  });

  it('have round numbers of bytes at their axis', () => {
    expect(byteTicks(0)).toEqual([0]);
    expect(byteTicks(3)).toEqual([0, 1, 2, 3]);
    expect(byteTicks(8192)).toEqual([0, 2048, 4096, 6144, 8192]);
    expect(byteTicks(3900 * 1024)).toEqual([0, 1, 2, 3].map((n) => n * 1024 * 1024));
    for (let most = 1; most < 2 ** 50; most *= 3) {
      const ticks = byteTicks(most);
      expect(ticks.length).toBeGreaterThan(1);
      expect(ticks.length).toBeLessThan(7);
    }
  });
});
