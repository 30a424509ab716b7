import { readFileSync } from 'node:fs';
import { chromium, expect, request, test as base, type BrowserContextOptions, type Page } from '@playwright/test';
import { axe } from './axe';
import { signIn } from './signIn';
import { watch } from './watch';

/** What these journeys go through, as a test in Go has written it: a server of a real domain, before a real provider. */
interface Scene {
  server: string;
  /** Token of an operator of the server. */
  token: string;
  /** Address of the provider. */
  issuer: string;
  /** Where Kerberos finds the domain, and the tickets of the user. */
  krb5: string;
  tickets: string;
  /** Tickets of somebody who is no operator. */
  stranger: string;
  user: string;
  password: string;
}

const scene = JSON.parse(readFileSync(process.env['DORMER_SCENE'] ?? '', 'utf8')) as Scene;

interface Fixtures {
  /** Opens a page of the console in a browser of its own, whose user has these tickets. */
  visit: (tickets: string, path: string) => Promise<Page>;
}

const test = base.extend<Fixtures>({
  // oxlint-disable-next-line no-empty-pattern -- Playwright wants the pattern
  visit: async ({}, provide, info) => {
    const closing: (() => Promise<void>)[] = [];
    const faults: string[] = [];
    await provide(async (tickets, path) => {
      const { launchOptions } = info.project.use;
      // A profile as people have it: in private ones tickets are not given away unasked.
      const context = await chromium.launchPersistentContext(info.outputPath(`profile${closing.length}`), {
        ...launchOptions,
        ...(info.project.use as BrowserContextOptions),
        baseURL: `${scene.server}/console/`,
        args: [...(launchOptions?.args ?? []), `--auth-server-allowlist=${new URL(scene.server).hostname}`],
        env: { ...process.env, KRB5_CONFIG: scene.krb5, KRB5CCNAME: tickets },
      });
      closing.push(() => context.close());
      context.on('page', (page) => watch(page, scene.server, (fault) => faults.push(fault), scene.issuer));
      const page = await context.newPage();
      await page.goto(path);
      return page;
    });
    for (const close of closing) await close();
    expect(faults, 'what went wrong in the browser').toEqual([]);
  },
});

/** Ends what sessions the user has. */
async function endSessions() {
  const api = await request.newContext({ ignoreHTTPSErrors: true });
  const answer = await api.post(`${scene.server}/api/v1/sessions/end`, {
    headers: { Authorization: `Bearer ${scene.token}` },
    data: { user: `corp\\${scene.user}` },
  });
  expect(answer.ok(), await answer.text()).toBe(true);
  await api.dispose();
}

/** Fills in the page of the provider. */
async function signInThere(page: Page) {
  await expect(page).toHaveURL(new RegExp(`^${scene.issuer}/`));
  await page.getByRole('textbox', { name: 'Username' }).fill(scene.user);
  await page.getByLabel('Password').fill(scene.password);
  await page.getByRole('button', { name: 'Login' }).click();
}

test('who has a ticket is not asked; who signs out is', async ({ visit }) => {
  const page = await visit(scene.tickets, '');
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  const menu = page.getByRole('button', { name: scene.user });
  await expect(menu).toBeVisible();

  // A session that ends goes on by itself.
  await endSessions();
  await page.getByRole('navigation', { name: 'Modules' }).getByRole('link', { name: 'Images' }).click();
  await expect(page.getByRole('link', { name: 'office', exact: true })).toBeVisible();
  await expect(page.getByRole('dialog')).toBeHidden();

  await menu.click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await page.reload();
  const withTicket = page.getByRole('button', { name: 'Sign in as you are signed in to this computer' });
  await expect(withTicket).toBeVisible();
  await axe(page);
  await withTicket.click();
  await expect(page.getByRole('heading', { level: 1, name: 'Images' })).toBeVisible();
});

test('who has a ticket and is no operator is told so, and may be somebody else', async ({ visit }) => {
  const page = await visit(scene.stranger, '');
  await page.getByRole('button', { name: 'Sign in as you are signed in to this computer' }).click();
  await expect(page.getByText('You are not an operator of this instance')).toBeVisible();
  await axe(page);
  await signIn(page, { name: `corp\\${scene.user}`, password: scene.password });
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
});

test('who signs in at a provider comes back to what they asked for, and goes on later', async ({ visit }) => {
  const page = await visit('FILE:/nonexistent', 'settings/groups?search=office');
  const atProvider = page.getByRole('button', { name: 'Sign in with Corporate login' });
  await expect(atProvider).toBeVisible();
  await expect(page.getByRole('alert')).toBeHidden();
  await atProvider.click();
  await signInThere(page);
  await expect(page.getByRole('heading', { level: 1, name: 'Settings' })).toBeVisible();
  await expect(page).toHaveURL(`${scene.server}/console/settings/groups?search=office`);
  await expect(page.getByRole('button', { name: scene.user })).toBeVisible();

  // Whose session ends goes on beside what they entered.
  await page.goto('settings/groups');
  await page.getByRole('button', { name: 'Add a group' }).first().click();
  await page.getByRole('dialog').getByLabel('Name').fill('auditors');
  await endSessions();
  await page.getByRole('dialog').getByRole('button', { name: 'Add', exact: true }).click();
  const again = page.getByRole('dialog', { name: 'Your session has ended' });
  await expect(again.getByLabel('Name')).toHaveValue(`corp\\${scene.user}`);
  const opened = page.waitForEvent('popup');
  await again.getByRole('button', { name: 'Sign in with Corporate login' }).click();
  const beside = await opened;
  const closed = beside.waitForEvent('close');
  await signInThere(beside);
  await closed;
  await expect(again).toBeHidden();
  await expect(page.getByRole('row').filter({ hasText: 'auditors' })).toBeVisible();
});
