import { api, data } from '../api/client';
import { basePath } from '../app/base';

/** Where a provider sends the browser back to, below the console's path. */
const back = 'signed-in';
const stored = 'dormer.openid';

/** What is kept in this tab while the browser is at a provider. */
export interface Begun {
  provider: string;
  redirect_uri: string;
  state: string;
  nonce: string;
  verifier: string;
  /** The address that somebody asked for before they were asked who they are. */
  wanted: string;
  /** This window was opened only to sign in; it closes afterwards. */
  closes: boolean;
}

const base64url = (bytes: Uint8Array): string =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');

const random = (): string => base64url(crypto.getRandomValues(new Uint8Array(32)));

/** The challenge of a verifier (RFC 7636, S256). */
export async function challengeOf(verifier: string): Promise<string> {
  return base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))));
}

/** Says whether this page is what a provider sends people back to, or the one that takes them there. */
export const isReturn = (): boolean => window.location.pathname === basePath() + back;

/** The address of a window that takes people to a provider and closes when they are signed in. */
export const windowOf = (provider: string): string => `${basePath()}${back}?begin=${encodeURIComponent(provider)}`;

/** Takes the browser to a provider. Whoever comes back finds what they asked for. */
export async function begin(provider: string, wanted: string, closes: boolean): Promise<void> {
  const begun: Begun = {
    provider,
    redirect_uri: new URL(basePath() + back, window.location.origin).href,
    state: random(),
    nonce: random(),
    verifier: random(),
    wanted,
    closes,
  };
  const { url } = await data(
    api.POST('/sessions/openid/begin', {
      body: {
        provider,
        redirect_uri: begun.redirect_uri,
        state: begun.state,
        nonce: begun.nonce,
        code_challenge: await challengeOf(begun.verifier),
      },
    }),
  );
  sessionStorage.setItem(stored, JSON.stringify(begun));
  window.location.assign(url);
}

/** What a provider's answer is when it cannot be used. */
export class Refusal extends Error {}

/**
 * Reads what the browser brought back, and forgets what was kept: it counts
 * once. Throws a Refusal when the provider refused, or was not asked by this tab.
 */
export function answerOf(search: string, kept: string | null): { begun: Begun; code: string } {
  const answer = new URLSearchParams(search);
  const begun = kept === null ? undefined : (JSON.parse(kept) as Begun);
  if (begun === undefined || answer.get('state') !== begun.state) {
    throw new Refusal('This tab did not ask for this sign-in, or it was used already. Begin again.');
  }
  const code = answer.get('code');
  if (code === null) {
    const why = answer.get('error_description') ?? answer.get('error') ?? 'without a reason';
    throw new Refusal(`The provider refused: ${why}`);
  }
  return { begun, code };
}

/** Signs in with what the browser brought back. */
export async function finish(search: string): Promise<Begun> {
  const kept = sessionStorage.getItem(stored);
  sessionStorage.removeItem(stored);
  const { begun, code } = answerOf(search, kept);
  await api.POST('/sessions/openid', {
    params: { header: { 'Dormer-Session': 'cookie' } },
    body: {
      provider: begun.provider,
      redirect_uri: begun.redirect_uri,
      nonce: begun.nonce,
      code,
      code_verifier: begun.verifier,
    },
  });
  return begun;
}
