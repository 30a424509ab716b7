import { basePath } from '../app/base';

/** How somebody signed in: the next time it is done the same way where nothing has to be asked. */
export type Way = 'password' | 'kerberos' | 'openid';

const stored = 'dormer.way';
const out = 'out';

/** Remembers how this browser was signed in. */
export const signedIn = (way: Way): void => localStorage.setItem(stored, way);

/** Remembers that somebody signed out: they are not signed in again unasked. */
export const signedOut = (): void => localStorage.setItem(stored, out);

/** Whether a ticket was the way the last time. */
export const hadTicket = (): boolean => localStorage.getItem(stored) === 'kerberos';

/** Whether a ticket may be tried unasked: for a new session unless somebody signed out, to go on only where a ticket began it. */
export const mayTryTicket = (goesOn: boolean): boolean => (goesOn ? hadTicket() : localStorage.getItem(stored) !== out);

/** Tells the other tabs of this console that somebody signed in or out. */
export type Word = 'in' | 'out';

const channel = new BroadcastChannel(`dormer.session:${basePath()}`);

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel is its origin's alone
export const tell = (word: Word): void => channel.postMessage(word);

/** Calls hear with what other tabs tell; returns how to stop. */
export function listen(hear: (word: Word) => void): () => void {
  const take = (e: MessageEvent<Word>) => hear(e.data);
  channel.addEventListener('message', take);
  return () => channel.removeEventListener('message', take);
}
