import type { Schemas } from '../../api/client';
import { bytes } from '../../components/format';
import { reportLink } from '../../report/link';
import { palette, type Figures, type Series } from './series';

type DeliveryReport = Schemas['DeliveryReport'];

/** The event that says that an image was fetched. */
const fetchedEvent = 401;

/**
 * The events of what was fetched in some days, or of one version. They are not
 * as many as the deliveries: a mended version is told of again, and events go earlier.
 */
export const eventsLink = (days: number, version?: string): string =>
  reportLink('activity', {
    days,
    code: [fetchedEvent],
    ...(version === undefined ? {} : { equal: { image: version } }),
  });

/** What was delivered on each day: what came over the network, and what was saved. */
export function deliveryFigures({ days }: DeliveryReport): Figures {
  const events = (i: number): string => {
    const day = days[i]?.day ?? '';
    return reportLink('activity', { since: day, until: day, code: [fetchedEvent] });
  };
  const of = (part: 'fetched' | 'saved', name: string, color: string): Series => ({
    name,
    color,
    values: days.map((d) => d[part]),
    link: events,
  });
  return {
    points: days.map((d) => d.day),
    series: [of('fetched', 'Over the network', palette[1] ?? ''), of('saved', 'Saved', palette[0] ?? '')],
    shown: bytes,
    events,
    ticks: byteTicks(Math.max(0, ...days.map((d) => d.size))),
  };
}

/** Steps between two ticks, in each unit. */
const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/** About four round numbers of bytes up to the most: 0, 2 GiB, 4 GiB and so on. */
export function byteTicks(most: number): number[] {
  const wanted = most / 4;
  let unit = 1;
  while (wanted >= unit * 1024) unit *= 1024;
  const step = unit * (steps.find((s) => s * unit >= wanted) ?? 1024);
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step);
}
