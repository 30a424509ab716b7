import { afterEach, expect, it, vi } from 'vitest';
import { onSessionEnd } from '../api/client';
import { download } from './download';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** What happened, in its order, when a file is fetched and the server answers so about the session. */
async function fetched(statuses: number[], signIn: () => Promise<void>): Promise<string[]> {
  const happened: string[] = [];
  const click = function (this: HTMLAnchorElement) {
    happened.push(new URL(this.href).pathname);
  };
  vi.spyOn(HTMLAnchorElement.prototype, 'click').mockImplementation(click);
  const answer = () => Promise.resolve(new Response('{}', { status: statuses.shift() ?? 500 }));
  vi.stubGlobal('fetch', answer);
  onSessionEnd(() => {
    happened.push('sign in');
    return signIn();
  });
  await download('/audit/export').catch(() => happened.push('refused'));
  return happened;
}

it('is fetched at once while somebody is signed in', async () => {
  expect(await fetched([200], () => Promise.resolve())).toEqual([expect.stringMatching(/\/api\/v1\/audit\/export$/)]);
});

it('waits until somebody has signed in again', async () => {
  const happened = await fetched([401, 200], () => Promise.resolve());
  expect(happened).toEqual(['sign in', expect.stringMatching(/\/audit\/export$/)]);
});

it('is not fetched when nobody signs in, or the server has a fault', async () => {
  expect(await fetched([401], () => Promise.reject(new Error('no')))).toEqual(['sign in', 'refused']);
  expect(await fetched([503], () => Promise.resolve())).toEqual(['refused']);
});
