import { queryOptions } from '@tanstack/react-query';
import createClient, { type Middleware } from 'openapi-fetch';
import { ask, data } from '../../api/client';
import type { components, paths } from '../../api/local';
import { problemOf } from '../../api/problem';
import { localURL } from '../../app/base';

/** The types of what `dormer console` adds on the administrator's computer. */
export type LocalSchemas = components['schemas'];

const failing: Middleware = {
  async onResponse({ response }) {
    if (!response.ok) throw await problemOf(response);
    return undefined;
  },
};

/** The API of this computer, typed as the server's is. Calls reject with a Problem. */
export const local = createClient<paths>({ baseUrl: localURL(), fetch: ask, credentials: 'same-origin' });
local.use(failing);

/** How often what goes on is asked for, in milliseconds. */
const live = 1_000;
const idle = 10_000;

export const stateQuery = queryOptions({
  queryKey: ['local-state'],
  queryFn: () => data(local.GET('/state')),
});

export const imagesQuery = queryOptions({
  queryKey: ['local-image'],
  queryFn: () => data(local.GET('/images')),
  // Jobs change them while no page looks.
  refetchOnMount: 'always',
});

/** What is in a folder of this computer; undefined: in the user's home. */
export const folderQuery = (path?: string) =>
  queryOptions({
    queryKey: ['local-file', path],
    queryFn: () => data(local.GET('/files', { params: { query: path === undefined ? {} : { path } } })),
  });

/** Whether a job still has something to do. */
export const isUnderWay = (job: LocalSchemas['Job']): boolean => job.state === 'running' || job.state === 'waiting';

export const jobsQuery = queryOptions({
  queryKey: ['local-job'],
  queryFn: async () => (await data(local.GET('/jobs'))).items ?? [],
  refetchInterval: ({ state }) => (state.data?.some(isUnderWay) ? live : idle),
});

/** Whether a machine is still there. */
export const isAlive = (run: LocalSchemas['Run']): boolean => run.state !== 'ended' && run.state !== 'failed';

export const runsQuery = queryOptions({
  queryKey: ['local-run'],
  queryFn: async () => (await data(local.GET('/runs'))).items ?? [],
  refetchInterval: ({ state }) => (state.data?.some(isAlive) ? live : idle),
});

/** The address of a guest's screen, a websocket. */
export function screenURL(run: string): string {
  const url = new URL(`${localURL()}/runs/${encodeURIComponent(run)}/screen`);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}
