import createClient, { type Middleware } from 'openapi-fetch';
import { apiURL } from '../app/base';
import { Problem, problemOf, unreachable } from './problem';
import type { components, paths } from './schema';

/** The types of the API, by their names in the OpenAPI document. */
export type Schemas = components['schemas'];

/** Identities of requests that this console made: what they changed is no news to it. */
const own = new Set<string>();
const ownKept = 200;

/** Says whether a request was made by this console. */
export const isOwn = (request: string | undefined): boolean => request !== undefined && own.has(request);

function remember(request: string | null): void {
  if (!request) return;
  own.add(request);
  const oldest = own.values().next().value;
  if (own.size > ownKept && oldest !== undefined) own.delete(oldest);
}

/** Called when an answer says that nobody is signed in any more; resolves when somebody is again. */
let signInAgain: () => Promise<void> = () => Promise.reject(new Error('nobody asks people to sign in'));

/** Sets what is done when a session has ended. What was asked is asked again when it resolves. */
export function onSessionEnd(signIn: () => Promise<void>): void {
  signInAgain = signIn;
}

/** Paths that may answer "unauthenticated" without that a session has ended. */
const withoutSession = /\/(sessions|sign-in-methods|instance)(\/|$)/;

/**
 * Asks the server, with the cookie of the session. Someone whose session ended
 * signs in again, and then the same request is made again: no input is lost.
 */
export async function ask(input: Request): Promise<Response> {
  const again = input.clone();
  let answer: Response;
  try {
    answer = await fetch(input);
  } catch (cause) {
    throw unreachable(cause);
  }
  if (input.method !== 'GET') remember(answer.headers.get('Dormer-Request'));
  if (answer.status === 401 && !withoutSession.test(new URL(input.url).pathname)) {
    await signInAgain();
    return ask(again);
  }
  return answer;
}

/** Resolves when somebody is signed in: at once, or when who was has signed in again. */
export async function signedIn(): Promise<void> {
  const answer = await ask(new Request(`${apiURL()}/sessions/current`, { credentials: 'same-origin' }));
  if (answer.status === 401) {
    await signInAgain();
    return signedIn();
  }
  if (!answer.ok) throw await problemOf(answer);
}

const failing: Middleware = {
  async onResponse({ response }) {
    if (!response.ok) throw await problemOf(response);
    return undefined;
  },
};

/**
 * The REST API, typed by the OpenAPI document. Calls reject with a Problem;
 * what they return always has data.
 */
export const api = createClient<paths>({ baseUrl: apiURL(), fetch: ask, credentials: 'same-origin' });
api.use(failing);

/** Returns the data of an answer, for queries: `data(api.GET('/images'))`. */
export async function data<T>(answer: Promise<{ data?: T }>): Promise<T> {
  const { data: got } = await answer;
  return got as T;
}

/** Asks for something that the OpenAPI document has no types for: documents, downloads. Rejects with a Problem. */
export async function raw(path: string, init?: RequestInit): Promise<Response> {
  const answer = await ask(new Request(apiURL() + path, { credentials: 'same-origin', ...init }));
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

export { Problem };
