/** The kinds of reports, as the server names them. */
export type Kind = 'status' | 'activity' | 'errors' | 'setup';

export const kinds: Kind[] = ['status', 'activity', 'errors', 'setup'];

/** What a report is asked for, by the names of the API. The address of a page has the same parameters. */
export interface Query {
  /** So many days back; 7 when neither it nor since is there. */
  days?: number;
  /** A date or a local time, from which and before which; a date in until includes that day. */
  since?: string;
  until?: string;
  /** What the names of user and host contain. */
  user?: string;
  host?: string;
  /** Name or identity of a workspace. */
  workspace?: string;
  /** Identity of a client. */
  client?: string;
  severity?: string[];
  code?: number[];
  category?: string[];
  /** Columns that have exactly this value, as the rows write it; empty: those that have nothing there. */
  equal?: Record<string, string>;
  /** A column, with "-" before it for the highest first. */
  sort?: string;
  columns?: string[];
  group?: string[];
  /** "all", or identities of instances that share the database of events. */
  instances?: string[];
}

const texts = ['since', 'until', 'user', 'host', 'workspace', 'client', 'sort'] as const;
const lists = ['severity', 'category', 'columns', 'group', 'instances'] as const;

/** The query as parameters, of the page and of the API alike. What is empty is left out. */
export function parameters(query: Query): URLSearchParams {
  const to = new URLSearchParams();
  if (query.days !== undefined) to.set('days', String(query.days));
  for (const name of texts) {
    const text = query[name];
    if (text !== undefined && text !== '') to.set(name, text);
  }
  for (const name of lists) {
    const list = query[name];
    if (list !== undefined && list.length > 0) to.set(name, list.join(','));
  }
  if (query.code !== undefined && query.code.length > 0) to.set('code', query.code.join(','));
  for (const [column, value] of Object.entries(query.equal ?? {})) to.append('equal', `${column}=${value}`);
  return to;
}

const words = (from: URLSearchParams, name: string): string[] =>
  from
    .getAll(name)
    .join(',')
    .split(',')
    .map((w) => w.trim())
    .filter((w) => w !== '');

/** Reads what parameters wrote. What is no number is left out: addresses are typed by people, too. */
export function queryOf(from: URLSearchParams): Query {
  const query: Query = {};
  const days = Number(from.get('days'));
  if (Number.isInteger(days) && days > 0) query.days = days;
  for (const name of texts) {
    const text = from.get(name);
    if (text !== null && text !== '') query[name] = text;
  }
  for (const name of lists) {
    const list = words(from, name);
    if (list.length > 0) query[name] = list;
  }
  const codes = words(from, 'code')
    .map(Number)
    .filter((n) => Number.isInteger(n));
  if (codes.length > 0) query.code = codes;
  const equal: Record<string, string> = {};
  for (const pair of from.getAll('equal')) {
    const at = pair.indexOf('=');
    if (at > 0) equal[pair.slice(0, at)] = pair.slice(at + 1);
  }
  if (Object.keys(equal).length > 0) query.equal = equal;
  return query;
}
