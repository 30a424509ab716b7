/**
 * Where the console is: below any path, behind any proxy. The server writes a
 * base relative to the address that was asked for, and so need not know what a
 * proxy has taken off it. The browser would resolve that anew whenever the
 * address changes, so it is made absolute before anything else happens.
 */
export function fixBase(): void {
  const base = document.querySelector('base');
  if (base) base.href = document.baseURI;
}

/** The path of the console, with a slash at its end: /console/ or /prefix/console/. */
export const basePath = (): string => new URL('.', document.baseURI).pathname;

/** The address of the server's API. */
export const apiURL = (): string => new URL('../api/v1', document.baseURI).href;

/** The address of what `dormer console` adds on the administrator's computer. */
export const localURL = (): string => new URL('../local/v1', document.baseURI).href;

/** What whoever serves the console says about itself, in index.html. */
interface Served {
  /** True under `dormer console`: images of this computer are there too. */
  local: boolean;
  /** The nonce that style elements need which are made while the console runs. */
  nonce: string;
}

export function served(): Served {
  const text = document.querySelector<HTMLMetaElement>('meta[name="dormer"]')?.content ?? '{}';
  return { local: false, nonce: '', ...(JSON.parse(text) as Partial<Served>) };
}
