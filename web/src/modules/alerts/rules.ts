import type { Schemas } from '../../api/client';
import { reportLink } from '../../report/link';
import type { Query } from '../../report/query';
import { textOf, type Row } from '../../report/table';

export type Rule = Schemas['AlertRule'];
export type Alert = Schemas['Alert'];

/** The parts of a time as rules write it, in seconds. */
const seconds: Record<string, number> = { ns: 1e-9, us: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600, d: 86_400 };

/** A time as rules write it, "90s", "1h30m", "7d", in seconds; undefined: it is none. */
export function spanOf(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ns|us|ms|s|m|h|d))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|ms|s|m|h|d)/g)) {
    sum += Number(number) * (seconds[unit ?? ''] ?? 0);
  }
  return sum;
}

const ranks = ['information', 'warning', 'error'];

/** The columns of the activity report that rules count apart by. */
const columns: Record<string, string> = { client: 'client', workspace: 'workspace', image: 'image', user: 'user' };

/** The filters of the events that a rule counts. */
function counts(events: NonNullable<Rule['events']>): Query {
  const query: Query = {};
  if (events.codes !== undefined && events.codes.length > 0) query.code = events.codes;
  const least = ranks.indexOf(events.severity ?? '');
  if (least > 0) query.severity = ranks.slice(least);
  if (events.category !== undefined && events.category !== '') query.category = [events.category];
  return query;
}

/** The address of the events that raised an alert; undefined: it is not about events. */
export function eventsOf(alert: Alert, rule: Rule | undefined): string | undefined {
  const events = rule?.events;
  if (!events) return undefined;
  const since = new Date(new Date(alert.raised).getTime() - (spanOf(events.window) ?? 0) * 1000);
  const query: Query = { ...counts(events), since: since.toISOString() };
  const column = columns[events.by];
  if (column !== undefined && !alert.key.startsWith('*')) query.equal = { [column]: alert.key };
  return reportLink('activity', query);
}

/** What the server observes of itself, and where the console shows it. */
const observed: Record<string, string> = {
  client_offline_beyond_limit: '/clients/',
  directory_away: '/settings/directories',
  clients_connected: '/reports/status',
  deletions_halted: '/clients',
};

/** The page of what an alert is about; undefined: it is about everything. */
export function subjectOf(alert: Alert, rule: Rule | undefined): string | undefined {
  const key = encodeURIComponent(alert.key);
  if (alert.key.startsWith('*') || !rule) return undefined;
  if (rule.events) {
    switch (rule.events.by) {
      case 'client':
        return `/clients/${key}`;
      case 'workspace':
        return `/workspaces/${key}`;
      case 'image':
        return `/images/${encodeURIComponent(alert.key.split('/')[0] ?? '')}`;
      case 'user':
        return reportLink('activity', { equal: { user: alert.key } });
      default:
        return undefined;
    }
  }
  const page = observed[rule.state?.observed ?? ''] ?? '/settings/server';
  return page.endsWith('/') ? page + key : page;
}

/** What an alert is about, for people. */
export const subjectName = (alert: Alert, rule: Rule | undefined): string => {
  if (alert.key.startsWith('*')) return 'All together';
  // Clients and workspaces are keyed by their identities, which say nothing to people.
  const by = rule?.events?.by ?? (rule?.state?.observed === 'client_offline_beyond_limit' ? 'client' : 'other');
  return by === 'client' || by === 'workspace' ? by : alert.key;
};

/** Something that the server observes, and how it is counted; docs/alerts.md says more. */
interface Observed {
  value: string;
  name: string;
  /** What the number counts; absent: it is 1 while the name is true. */
  unit?: string;
}

/** What can be observed. */
export const kindsObserved: Observed[] = [
  { value: 'disk_used', name: 'Disk of the data and repository folders', unit: 'per cent' },
  { value: 'database_size', name: 'Size of a database', unit: 'GiB' },
  { value: 'database_away', name: 'A database does not answer' },
  { value: 'events_waiting', name: 'Queue of events', unit: 'per cent' },
  { value: 'certificate_days', name: 'Time until a certificate expires', unit: 'days' },
  { value: 'client_offline_beyond_limit', name: 'A client is off-line beyond its limit' },
  { value: 'clients_connected', name: 'On-line', unit: 'clients' },
  { value: 'replica_behind', name: 'Standby is behind', unit: 'seconds' },
  { value: 'directory_away', name: 'A directory is not usable' },
  { value: 'forwarding_fails', name: 'A receiver takes no events' },
  { value: 'deletions_halted', name: 'Waiting to be deleted', unit: 'machines' },
];

const either = new Intl.ListFormat('en-GB', { type: 'disjunction' });

/** A rule in a line. */
export function condition(rule: Rule): string {
  const { events, state } = rule;
  if (events) {
    const what = [
      events.counts === 'events' && events.threshold === 1 ? 'event' : 'events',
      either.format((events.codes ?? []).map(String)),
      events.severity && `at least ${events.severity}`,
      events.category && `of ${events.category}`,
    ].filter((p) => p !== undefined && p !== '');
    const of = events.counts === 'clients' ? 'clients with ' : '';
    const by = events.by === 'instance' ? 'all together' : `for each ${events.by}`;
    return `${events.threshold} ${of}${what.join(' ')} within ${events.window}, ${by}`;
  }
  if (state) {
    const held = state.for === undefined || state.for === '' ? '' : ` for ${state.for}`;
    const kind = kindsObserved.find((k) => k.value === state.observed);
    if (kind && kind.unit === undefined && state.comparison === 'above' && state.value === 0) return kind.name + held;
    const of = kind?.unit === undefined ? '' : ` ${kind.unit}`;
    return `${kind?.name ?? state.observed} ${state.comparison} ${state.value}${of}${held}`;
  }
  return '';
}

/** The report that tries a rule: what it would count now; undefined: it cannot be tried. */
export function trial(rule: Rule, now: number): Query | undefined {
  const { events } = rule;
  const window = events && spanOf(events.window);
  if (!events || window === undefined) return undefined;
  const column = columns[events.by];
  const group = column === undefined ? [] : [column];
  if (events.counts === 'clients' && !group.includes('client')) group.push('client');
  // Together they are the events of the instance.
  if (group.length === 0) group.push('instance');
  return { ...counts(events), since: new Date(now - window * 1000).toISOString(), group };
}

/** What a rule would count for one subject. */
export interface Outcome {
  subject: string;
  count: number;
  /** Whether that is enough to raise an alert. */
  raises: boolean;
}

/** What a rule would count, the most first, from the rows of its trial. Events of no such subject count for none. */
export function outcomes(rule: Rule, rows: Row[]): Outcome[] {
  const { events } = rule;
  if (!events) return [];
  const column = columns[events.by];
  const sums = new Map<string, number>();
  for (const row of rows) {
    const subject = column === undefined ? 'All together' : textOf(row[column]);
    if (subject === '') continue;
    const one = events.counts === 'clients' ? 1 : Number(row['count']);
    sums.set(subject, (sums.get(subject) ?? 0) + one);
  }
  return [...sums]
    .map(([subject, count]) => ({ subject, count, raises: count >= events.threshold }))
    .toSorted((a, b) => b.count - a.count);
}

/** The rule that one begins with. */
export const blank: Rule = {
  name: '',
  enabled: true,
  severity: 'warning',
  text: '{count} errors of client {subject} within {window}',
  clear_after: '30m',
  events: { severity: 'error', counts: 'events', threshold: 20, window: '10m', by: 'client' },
};
