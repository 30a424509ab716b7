import type { Schemas } from '../../api/client';
import { reportLink } from '../../report/link';
import type { Query } from '../../report/query';

type Trends = Schemas['Trends'];

/** Figures over time that are drawn, and are a table for who does not see drawings. */
export interface Series {
  name: string;
  /** A property of the style sheet, so that it fits light and dark. */
  color: string;
  /** One for each point; null: nobody looked then. */
  values: (number | null)[];
  /** The address of the rows that a point stands for. */
  link: (point: number) => string;
}

/** Points in time, as they are written below a chart, and the series over them. */
export interface Figures {
  points: string[];
  series: Series[];
  /** How values are written; absent: as whole numbers. */
  shown?: (value: number) => string;
  /** The address of the events of a point, where values are not how many these are; absent: values lead to their rows. */
  events?: (point: number) => string;
  /** Where the axis of values has ticks; absent: where whole numbers suit. */
  ticks?: number[];
}

const color = (name: string) => `var(--pf-t--global--color--status--${name}--default)`;
/** Colours of series that mean nothing else, told apart in light and dark. */
export const palette = ['blue--40', 'orange--40', 'purple--40', 'teal--50', 'green--50', 'red-orange--50'].map(
  (c) => `var(--pf-t--color--${c})`,
);

/** The events of each day by severity. */
export function eventFigures({ days }: Trends): Figures {
  const of = (severity: 'error' | 'warning' | 'information', name: string, status: string): Series => ({
    name,
    color: color(status),
    values: days.map((d) => d[severity]),
    link: (i) => {
      const day = days[i]?.day ?? '';
      return reportLink('activity', { since: day, until: day, severity: [severity] });
    },
  });
  return {
    points: days.map((d) => d.day),
    series: [
      of('error', 'Errors', 'danger'),
      of('warning', 'Warnings', 'warning'),
      of('information', 'Information', 'info'),
    ],
  };
}

/** Up to how many days clients are counted by the hour, and not by the day. */
const hourly = 3;

/** The most clients that were on-line in each hour, or on each day of a longer time. */
export function onlineFigures({ days, online }: Trends, zone: string): Figures {
  const format = new Intl.DateTimeFormat('sv-SE', {
    timeZone: zone,
    dateStyle: 'short',
    ...(days.length <= hourly ? { timeStyle: 'short' } : {}),
  });
  const most = new Map<string, number>(days.length <= hourly ? [] : days.map((d) => [d.day, -1]));
  for (const { time, clients } of online) {
    const point = format.format(new Date(time));
    most.set(point, Math.max(most.get(point) ?? -1, clients));
  }
  const points = [...most.keys()];
  return {
    points,
    series: [
      {
        name: 'Clients on-line',
        color: palette[0] ?? '',
        values: [...most.values()].map((n) => (n < 0 ? null : n)),
        link: (i) => {
          const day = (points[i] ?? '').slice(0, 10);
          return reportLink('activity', { since: day, until: day, group: ['host'] });
        },
      },
    ],
  };
}

/** Of what there are versions, how that is called, and the rows of one version. */
export const versioned: { of: string; title: string; rows: (version: string) => Query }[] = [
  {
    of: 'client-version',
    title: 'Versions of the client',
    rows: (v) => ({ days: 30, equal: { client_version: v } }),
  },
  { of: 'image', title: 'Versions of images', rows: (v) => ({ days: 30, equal: { image: v } }) },
  {
    of: 'policy',
    title: 'Revisions of policies',
    rows: (v) => {
      const at = v.lastIndexOf(' revision ');
      if (at < 0) return { days: 30 };
      return { days: 30, equal: { workspace: v.slice(0, at), held_revision: v.slice(at + ' revision '.length) } };
    },
  },
];

/** How many versions are drawn: those in use the most. */
const drawn = 6;

/** How many clients or machines had which version on each day. */
export function versionFigures({ days, versions }: Trends, of: string, rows: (version: string) => Query): Figures {
  return {
    points: days.map((d) => d.day),
    series: versions
      .filter((v) => v.of === of)
      .slice(0, drawn)
      .map((v, i) => ({
        name: v.version,
        color: palette[i] ?? '',
        values: v.days,
        link: () => reportLink('status', rows(v.version)),
      })),
  };
}
