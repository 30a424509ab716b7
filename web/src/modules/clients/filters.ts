import type { Schemas } from '../../api/client';

type Figures = Schemas['ClientFigures'];

/** What is shown of the list of clients. It is all in the address, so that it can be linked to. */
export interface Filters {
  search: string;
  /** One of states; empty: any. */
  state: string;
  /** Version of the agent; empty: any. */
  version: string;
  sort: string;
  descending: boolean;
  /** From 1. */
  page: number;
  size: number;
}

/** States of clients, as the server names them and as people do, with the figure that counts each. */
export const states: { state: string; name: string; count: (f: Figures) => number; trouble?: boolean }[] = [
  { state: 'online', name: 'On-line', count: (f) => f.online },
  { state: 'running', name: 'Running a workspace', count: (f) => f.running },
  { state: 'offline', name: 'Off-line', count: (f) => f.offline },
  { state: 'beyond-limit', name: 'Off-line beyond limit', count: (f) => f.beyond_limit, trouble: true },
  { state: 'never-seen', name: 'Never seen', count: (f) => f.never_seen },
  { state: 'copied', name: 'Copied', count: (f) => f.copied, trouble: true },
  { state: 'clock-wrong', name: 'Clock wrong', count: (f) => f.clock_wrong, trouble: true },
  { state: 'revoked', name: 'Revoked', count: (f) => f.revoked },
];

export const sizes = [20, 50, 100, 500];
const usualSize = 50;
const usualSort = 'host';

const whole = (text: string | null, otherwise: number): number => {
  const n = Number(text);
  return text !== null && Number.isInteger(n) && n > 0 ? n : otherwise;
};

/** Reads the filters from the address. What makes no sense there is passed over. */
export function filtersOf(params: URLSearchParams): Filters {
  return {
    search: params.get('search') ?? '',
    state: params.get('state') ?? 'active',
    version: params.get('version') ?? '',
    sort: params.get('sort') ?? usualSort,
    descending: params.get('descending') === 'true',
    page: whole(params.get('page'), 1),
    size: Math.min(whole(params.get('size'), usualSize), 500),
  };
}

/** The address of filters; what is usual is left out. */
export function parametersOf(f: Filters): URLSearchParams {
  const out = new URLSearchParams();
  if (f.search !== '') out.set('search', f.search);
  if (f.state !== 'active') out.set('state', f.state);
  if (f.version !== '') out.set('version', f.version);
  if (f.sort !== usualSort) out.set('sort', f.sort);
  if (f.descending) out.set('descending', 'true');
  if (f.page !== 1) out.set('page', String(f.page));
  if (f.size !== usualSize) out.set('size', String(f.size));
  return out;
}

/** What the server is asked for. */
export function queryOf(f: Filters) {
  return {
    ...(f.search === '' ? {} : { search: f.search.trim() }),
    ...(f.state === '' ? {} : { state: f.state }),
    ...(f.version === '' ? {} : { version: f.version }),
    sort: f.sort,
    descending: f.descending,
    offset: (f.page - 1) * f.size,
    limit: f.size,
  };
}

/** Whether anything is selected: then an empty list is no empty server. */
export const selects = (f: Filters): boolean => f.search !== '' || f.version !== '' || f.state !== 'active';
