import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, type Page } from '@playwright/test';
import type { AxeResults } from 'axe-core';

const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const everything = { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] };

/**
 * Fails if axe finds on the page, as it is now, what is serious or critical by
 * WCAG 2.1 AA: by all its rules, or by some. The journey goes on, to tell of all.
 */
export async function axe(page: Page, ...rules: string[]): Promise<void> {
  // Colours that are on their way are not those that people see.
  await page.evaluate(async () => {
    await Promise.allSettled(
      document.getAnimations().map((a) => (a.effect?.getTiming().iterations === Infinity ? undefined : a.finished)),
    );
  });
  // Evaluated by the debugger, which no content policy binds.
  await page.evaluate(source);
  const runOnly = rules.length === 0 ? everything : { type: 'rule', values: rules };
  const found = await page.evaluate(
    async (only) =>
      await (globalThis as unknown as { axe: { run: (options: object) => Promise<AxeResults> } }).axe.run({
        runOnly: only,
        resultTypes: ['violations'],
      }),
    runOnly,
  );
  const bad = found.violations.filter((v) => v.impact === 'serious' || v.impact === 'critical');
  const told = bad.flatMap((v) =>
    v.nodes.map((n) => `${v.id}: ${v.help}: ${n.target.join(' ')}: ${n.html}\n  ${n.failureSummary ?? ''}`),
  );
  expect.soft(told, `axe on ${page.url()}`).toEqual([]);
}
