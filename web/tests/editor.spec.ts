import type { Locator, Page } from '@playwright/test';
import { axe, expect, test, type Stage } from './fixtures';

interface Made {
  id: string;
  name: string;
}

/** A workspace with the least that one needs, and what a journey adds to it. */
async function newWorkspace(stage: Stage, spec: object = {}, more: object = {}): Promise<Made> {
  const image = stage.unique('base');
  await stage.image(image);
  const name = stage.unique('Edited');
  const made = await stage.newWorkspace({
    apiVersion: 'dormer/v1',
    kind: 'Workspace',
    metadata: { name },
    spec: { machine: { image: { name: image } }, ...spec },
    ...more,
  });
  return { id: made.id, name };
}

const tab = (page: Page, title: string): Locator => page.getByRole('tab', { name: new RegExp(`^${title}`) });

/** What somebody does who has no mouse: goes to a control, and presses keys. */
function keys(page: Page) {
  const press = async (control: Locator, key = 'Enter') => {
    await control.focus();
    await page.keyboard.press(key);
  };
  return {
    press,
    type: async (control: Locator, text: string) => {
      await control.focus();
      await page.keyboard.type(text);
    },
    /** Chooses from a list by the beginning of what is wanted. */
    choose: async (control: Locator, text: string) => {
      await control.focus();
      await page.keyboard.type(text);
    },
    open: async (title: string) => {
      await press(tab(page, title));
      await expect(page.getByRole('heading', { level: 2 }).first()).toBeVisible();
    },
  };
}

test('a workspace is filled on all tabs by keyboard alone', async ({ stage, page }) => {
  const { id } = await newWorkspace(stage);
  const user = await stage.newUser();
  const { press, type, choose, open } = keys(page);
  const dialog = page.getByRole('dialog');
  const done = () => press(dialog.getByRole('button', { name: 'Done' }));
  await page.goto(`workspaces/${id}`);

  await open('General');
  await type(page.getByLabel('Description', { exact: true }), 'For those who travel');
  await choose(page.getByLabel('Display', { exact: true }), 'Sea');
  // Only computers that are managed may open their network to a guest.
  await choose(page.getByLabel('Unmanaged computers', { exact: true }), 'Ref');
  await press(page.getByRole('switch', { name: 'Coloured frame' }), 'Space');
  await type(page.getByRole('textbox', { name: 'Colour of the frame', exact: true }), '#aa0000');

  await open('Virtual machine');
  await press(page.getByRole('switch', { name: 'Revertible' }), 'Space');
  await type(page.getByRole('textbox', { name: 'Lock when idle for' }), '20');

  await open('Deployment');
  await type(page.getByRole('combobox', { name: 'Grant to' }), user.name);
  await expect(page.getByRole('option', { name: user.name })).toBeVisible();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await expect(dialog).toBeVisible();
  await choose(dialog.getByLabel('Clipboard', { exact: true }), 'Host to');
  // The tabs as they are are looked at by pages.spec.ts.
  await axe(page);
  await done();

  await open('Applications');
  await press(page.getByRole('button', { name: 'Add application' }));
  await type(dialog.getByRole('textbox', { name: 'Name' }), 'Writer');
  await type(dialog.getByRole('textbox', { name: 'Command' }), '/usr/bin/writer');
  await page.keyboard.press('Enter');
  await expect(dialog).toBeHidden();

  await open('Web');
  await press(page.getByRole('button', { name: 'Add rule' }));
  await type(dialog.getByRole('textbox', { name: 'Domain' }), 'corp.example.test');
  await done();
  await type(page.getByLabel('Address', { exact: true }), 'https://wiki.corp.example.test/page');
  await expect(page.getByText('Opened in the guest: rule 1 decides.')).toBeVisible();

  await open('VM setup');
  await type(page.getByRole('textbox', { name: 'Pattern of the name' }), 'PC-{user}-###');
  await expect(page.getByText(/PC-ALICE-[A-Z0-9]{3}/)).toBeVisible();
  await press(page.getByRole('button', { name: 'Add action' }));
  await press(page.getByRole('menuitem', { name: 'Run a command' }));
  await type(dialog.getByRole('textbox', { name: 'Program' }), '/usr/bin/prepare');
  await done();
  await press(page.getByRole('button', { name: 'Add action' }));
  await press(page.getByRole('menuitem', { name: 'Rename the computer' }));
  const actions = page.getByRole('grid', { name: 'Actions' });
  await expect(actions.getByRole('row').nth(2)).toContainText('Rename the computer');
  // The second action is dragged before the first.
  const handle = actions.getByRole('button', { name: 'Drag Rename the computer' });
  await press(handle, 'Space');
  // Where the rows are is measured after it is picked up.
  await expect(page.getByText('Rename the computer is over place 2 of 2.')).toBeAttached();
  await page.keyboard.press('ArrowUp');
  await expect(page.getByText('Rename the computer is over place 1 of 2.')).toBeAttached();
  await page.keyboard.press('Space');
  await expect(actions.getByRole('row').nth(1)).toContainText('Rename the computer');

  await open('Network');
  await press(page.getByRole('radio', { name: 'Bridged' }), 'Space');
  await press(page.getByRole('button', { name: 'Add to bridged adapters' }));
  await page.keyboard.type('eth0');

  await open('Performance');
  await press(page.getByRole('button', { name: 'Add row of memory' }));
  await expect(page.getByText('The guest gets 2GiB and 4 processors.')).toBeVisible();

  await press(page.getByRole('button', { name: 'Commit', exact: true }));
  await press(dialog.getByRole('button', { name: 'Commit', exact: true }));
  await expect(page.getByText('Everything is committed')).toBeVisible();

  expect(await stage.api('GET', `/workspaces/${id}`)).toMatchObject({
    metadata: { description: 'For those who travel' },
    spec: {
      general: { display: 'seamless', unmanagedClients: 'refuse', frame: { show: true, color: '#aa0000' } },
      machine: { revertible: false, lock: { idle: '20m' } },
      applications: { published: [{ name: 'Writer', command: '/usr/bin/writer' }] },
      web: { rules: [{ domain: 'corp.example.test', open: 'guest' }] },
      setup: {
        computerName: 'PC-{user}-###',
        actions: [{ renameComputer: {} }, { runCommand: { path: '/usr/bin/prepare' } }],
      },
      network: { mode: 'bridged', adapters: ['eth0'] },
      performance: { memory: [{ guest: '2GiB' }] },
    },
    grants: [{ principal: { kind: 'user', name: user.name }, clipboard: 'host-to-guest' }],
  });
});

test('what the server finds wrong lands at its field, and marks the tab', async ({ stage, page }) => {
  const { id } = await newWorkspace(stage);
  await page.goto(`workspaces/${id}?tab=setup`);
  const pattern = page.getByRole('textbox', { name: 'Pattern of the name' });
  await pattern.fill('{user}');
  await expect(pattern).toHaveAccessibleDescription(/cannot be unique/);
  await expect(tab(page, 'VM setup').getByRole('img', { name: '1 error' })).toBeVisible();
  // A revertible workspace may only rename: the row of the action says so, and so does its dialog.
  await page.getByRole('button', { name: 'Add action' }).click();
  await page.getByRole('menuitem', { name: 'Run a command' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByText(/may only rename the computer/)).toBeVisible();
  // What is empty because it is new is not blamed before it was left.
  const program = dialog.getByRole('textbox', { name: 'Program' });
  await expect(program).not.toHaveAccessibleDescription(/is required/);
  await program.focus();
  await page.keyboard.press('Tab');
  await expect(program).toHaveAccessibleDescription(/Program is required/);
  await dialog.getByRole('button', { name: 'Done' }).click();
  await expect(page.getByRole('grid', { name: 'Actions' }).getByText(/may only rename the computer/)).toBeVisible();
  await page.getByRole('button', { name: 'Remove Run a command' }).click();
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(page.getByRole('button', { name: 'Edit Run a command' })).toBeVisible();
  await page.getByRole('button', { name: 'Remove Run a command' }).click();
  await pattern.fill('PC-####');
  await expect(tab(page, 'VM setup').getByRole('img')).toHaveCount(0);
});

/** Types a description into the dialog of an application, and returns how long the page's thread worked for it, in seconds. */
async function typing(page: Page): Promise<number> {
  const measured = await page.context().newCDPSession(page);
  await measured.send('Performance.enable', { timeDomain: 'threadTicks' });
  const worked = async (): Promise<number> => {
    const { metrics } = await measured.send('Performance.getMetrics');
    return metrics.find((m) => m.name === 'TaskDuration')?.value ?? Number.NaN;
  };
  const before = await worked();
  await page
    .getByRole('dialog')
    .getByRole('textbox', { name: 'Description' })
    .pressSequentially('twenty characters it');
  const after = await worked();
  await measured.detach();
  return after - before;
}

test('500 applications and 200 grants stay quick, whatever they are called', async ({ stage, open }) => {
  const evil = '<script>window.ran=1<img src=x onerror=window.ran=1>';
  const published = Array.from({ length: 500 }, (_, i) => ({
    name: i === 499 ? evil : `Application ${i + 1} ${'ж'.repeat(60)}`,
    command: `/opt/app${i + 1}`,
  }));
  const groups = Array.from({ length: 200 }, () => stage.unique('group'));
  for (let at = 0; at < groups.length; at += 20) {
    await Promise.all(groups.slice(at, at + 20).map((name) => stage.api('POST', '/directory/groups', { name })));
  }
  const grants = groups.map((name) => ({ principal: { kind: 'group', name } }));
  const { id } = await newWorkspace(stage, { applications: { published } }, { grants });
  // What a key costs where there is little: the same browser on the same machine.
  const small = await newWorkspace(stage, { applications: { published: published.slice(0, 1) } });
  const beside = await open('full');
  await beside.goto(`workspaces/${small.id}?tab=applications`);
  await beside.getByRole('button', { name: /^Edit Application 1 / }).click();
  const few = await typing(beside);
  const page = await open('full');
  await page.goto(`workspaces/${id}?tab=applications`);
  const table = page.getByRole('grid', { name: 'Published applications' });
  await page.getByRole('textbox', { name: 'Search Published applications' }).fill('script');
  await expect(table.getByRole('row')).toHaveCount(2);
  await table.getByRole('button', { name: `Edit ${evil}` }).click();
  expect(await typing(page)).toBeLessThan(4 * few);
  await page.getByRole('dialog').getByRole('button', { name: 'Done' }).click();
  expect(await page.evaluate(() => 'ran' in window)).toBe(false);

  // One field of several grants at once.
  await tab(page, 'Deployment').click();
  await page.getByRole('checkbox', { name: 'Choose all grants' }).check();
  await page.getByLabel('Field to set').selectOption('Enabled');
  await page.getByRole('switch', { name: 'Enabled' }).press('Space');
  await page.getByRole('button', { name: 'Set in 200 grants' }).click();
  await expect(page.getByRole('grid', { name: 'Grants' }).getByText('Disabled')).toHaveCount(25);
});

test('applications are dragged with the mouse', async ({ stage, page }) => {
  const published = ['Writer', 'Calc', 'Draw'].map((name) => ({ name, command: `/usr/bin/${name.toLowerCase()}` }));
  const { id } = await newWorkspace(stage, { applications: { published } });
  await page.goto(`workspaces/${id}?tab=applications`);
  const rows = page.getByRole('grid', { name: 'Published applications' }).getByRole('row');
  await page.getByRole('button', { name: 'Drag Draw' }).hover();
  await page.mouse.down();
  const target = await rows.nth(1).boundingBox();
  expect(target).not.toBeNull();
  const { x, y } = target ?? { x: 0, y: 0 };
  // It is picked up when it has moved a little; where the rows are is measured then.
  await page.mouse.move(x + 20, y + 60, { steps: 5 });
  await expect(page.getByText(/^Draw is over place/)).toBeAttached();
  await page.mouse.move(x + 20, y + 4, { steps: 5 });
  await expect(page.getByText('Draw is over place 1 of 3.')).toBeAttached();
  await page.mouse.up();
  await expect(rows.nth(1)).toContainText('Draw');
  await expect(rows.nth(2)).toContainText('Writer');
  await page.getByRole('button', { name: 'Commit', exact: true }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Commit', exact: true }).click();
  await expect(page.getByText('Everything is committed')).toBeVisible();
  expect(await stage.api('GET', `/workspaces/${id}`)).toMatchObject({
    spec: { applications: { published: [{ name: 'Draw' }, { name: 'Writer' }, { name: 'Calc' }] } },
  });
});

test('who may only read sees all of it and changes nothing', async ({ stage, open }) => {
  const { id } = await newWorkspace(stage, { applications: { published: [{ name: 'Writer', command: 'writer' }] } });
  const page = await open('read-only');
  await page.goto(`workspaces/${id}?tab=general`);
  await expect(page.getByRole('textbox', { name: 'Name', exact: true })).not.toBeEditable();
  await expect(page.getByText(/Your role is read-only/).first()).toBeVisible();
  await tab(page, 'Applications').click();
  for (const name of ['Add application', 'Remove Writer']) {
    await expect(page.getByRole('button', { name })).toHaveAttribute('aria-disabled', 'true');
  }
  await page.getByRole('button', { name: 'Show Writer' }).click();
  await expect(page.getByRole('dialog').getByRole('textbox', { name: 'Command' })).not.toBeEditable();
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).last().click();
});
