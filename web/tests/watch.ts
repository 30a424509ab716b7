import type { Page } from '@playwright/test';

/**
 * Chromium writes refusals and lost connections to its console. Of the API they
 * are answers as others: pages show them.
 */
const refused = /^Failed to load resource/;

/** A journey that takes the browser from the network knows what it misses: a font, say, that comes with the first text in it. */
const away = 'net::ERR_INTERNET_DISCONNECTED';

/**
 * Tells of what nobody who uses a page may see, but which is a fault: errors in
 * its console, those of the content policy among them, errors that nothing
 * caught, and whatever it asks of any other than its own server. At another
 * address that people are sent to, a provider's, only that one is asked.
 */
export function watch(page: Page, server: string, tell: (fault: string) => void, provider?: string): void {
  const own = new URL(server);
  const there = provider === undefined ? undefined : new URL(provider);
  page.on('console', (message) => {
    if (message.type() !== 'error') return;
    const { url } = message.location();
    if (refused.test(message.text()) && /\/(api|local)\/v1\//.test(url)) return;
    if (message.text().includes(away)) return;
    tell(`console: ${message.text()} (${url})`);
  });
  page.on('pageerror', (error) => tell(`not caught: ${error.stack ?? error.message}`));
  page.on('request', (asked) => {
    const { protocol, host } = new URL(asked.url());
    if (protocol === 'data:' || protocol === 'blob:' || host === own.host) return;
    if (host === there?.host && (asked.isNavigationRequest() || new URL(asked.frame().url()).host === host)) return;
    tell(`asked another host: ${asked.url()}`);
  });
  page.on('websocket', (socket) => {
    if (new URL(socket.url()).host !== own.host) tell(`asked another host: ${socket.url()}`);
  });
  page.on('dialog', (dialog) => {
    // A journey that expects one handles it before; scripts in texts show one.
    tell(`a dialog: ${dialog.message()}`);
    void dialog.dismiss().catch(() => undefined);
  });
}
