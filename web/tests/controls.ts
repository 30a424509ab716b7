// oxlint-disable unicorn/consistent-function-scoping -- all of it is sent to the page in one piece

import type { Page } from '@playwright/test';

/**
 * The names of what can be used on a page, beside tabs and heads of columns:
 * enabled buttons, inputs that take something, and what the menus have, each of
 * which is opened. Of menus that are alike, of rows, the first two are.
 */
export async function usable(page: Page): Promise<string[]> {
  return await page.evaluate(async () => {
    const main = document.querySelector('main') ?? document.body;
    const text = (e: Element | null | undefined) => (e?.textContent ?? '').trim();
    const nameOf = (e: Element): string => {
      const by =
        e
          .getAttribute('aria-labelledby')
          ?.split(' ')
          .map((id) => text(document.getElementById(id))) ?? [];
      const labels = 'labels' in e ? [...((e as HTMLInputElement).labels ?? [])].map(text) : [];
      const names = [
        e.getAttribute('aria-label'),
        by.join(' '),
        labels.join(' '),
        text(e),
        e.getAttribute('placeholder'),
      ];
      return (names.find((n) => n) ?? `a ${e.tagName} without a name`).replace(/\s+/g, ' ').trim();
    };
    const off = (e: Element) =>
      e.matches(':disabled, [aria-disabled="true"], [readonly], [aria-readonly="true"], [contenteditable="false"]') ||
      e.closest('[inert], [hidden]') !== null ||
      e.getClientRects().length === 0 ||
      (e.matches('button') && e.closest('th, [role="tablist"], .pf-v6-c-tabs') !== null);
    const controls = (within: Element) =>
      [
        ...within.querySelectorAll(
          'button, input, textarea, select, [contenteditable], [role="menuitem"], [role="option"]',
        ),
      ].filter((e) => !off(e));
    const names = new Set(controls(main).map(nameOf));
    const opened = new Map<string, number>();
    for (const toggle of main.querySelectorAll<HTMLElement>('button[aria-expanded="false"]')) {
      const kind = nameOf(toggle).replace(/ of .*/su, '');
      const times = opened.get(kind) ?? 0;
      if (off(toggle) || times > 1) continue;
      opened.set(kind, times + 1);
      const before = new Set(document.querySelectorAll('*'));
      toggle.click();
      await new Promise((done) => setTimeout(done, 50));
      for (const e of controls(document.body)) if (!before.has(e)) names.add(`${kind}: ${nameOf(e)}`);
      if (toggle.getAttribute('aria-expanded') === 'true') toggle.click();
      await new Promise((done) => setTimeout(done, 50));
    }
    return [...names];
  });
}
