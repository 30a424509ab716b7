import { readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import { axe, expect, test, type Stage } from './fixtures';
import { search } from './search';

const tab = (page: Page, name: string) => page.getByRole('tab', { name: new RegExp(`^${name}`) }).click();

async function newWorkspace(stage: Stage, name: string): Promise<string> {
  const image = stage.unique('base');
  await stage.image(image);
  const made = await stage.newWorkspace({
    apiVersion: 'dormer/v1',
    kind: 'Workspace',
    metadata: { name },
    spec: { machine: { image: { name: image } } },
  });
  return made.id;
}

async function commit(page: Page, message: string): Promise<void> {
  await page.getByRole('button', { name: 'Commit', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox', { name: 'Message' }).fill(message);
  await dialog.getByRole('button', { name: 'Commit', exact: true }).click();
  await expect(page.getByText('Everything is committed')).toBeVisible();
}

/** Replaces the whole text of the YAML view. */
async function type(page: Page, text: string): Promise<void> {
  await page.getByRole('textbox', { name: 'Workspace as YAML' }).click();
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.insertText(text);
}

test('a workspace is made, granted, committed, asked about and rolled back', async ({ stage, page }) => {
  const name = stage.unique('Büro <script>alert(1)</script>');
  const image = stage.unique('office');
  await stage.image(image);
  const user = await stage.newUser();
  await stage.api('POST', '/directory/groups', { name: user.name });

  await page.goto('workspaces');
  await page.getByRole('button', { name: 'New workspace' }).first().click();
  await page.getByRole('textbox', { name: 'Name' }).fill(name);
  await page.getByRole('combobox', { name: 'Image' }).selectOption(image);
  await page.getByRole('radio', { name: 'Office' }).check();
  await axe(page);
  await page.getByRole('button', { name: 'Create' }).click();
  await expect(page.getByRole('heading', { level: 1, name })).toBeVisible();

  // Grant it, and say why in a script that headers do not know.
  await tab(page, 'Deployment');
  await page.getByRole('combobox', { name: 'Grant to' }).fill(user.name.toUpperCase());
  await page.getByRole('button', { name: 'Check name' }).click();
  await expect(page.getByText('2 go by that name. Choose who is meant.')).toBeVisible();
  await page.getByRole('option', { name: /user of local/ }).click();
  await page.getByRole('dialog', { name: 'New grant' }).getByRole('button', { name: 'Done' }).click();
  await expect(page.getByText('1 change not committed')).toBeVisible();
  await commit(page, 'größer, 日本');

  await tab(page, 'Why');
  await page.getByRole('combobox', { name: 'User', exact: true }).fill(user.name);
  await page.getByRole('combobox', { name: 'User', exact: true }).press('Enter');
  await expect(page.getByText(`${user.name} gets this workspace`)).toBeVisible();
  await expect(page.getByRole('grid', { name: 'values of the effective policy' })).toContainText('40GiB');
  await axe(page);

  await tab(page, 'History');
  await expect(page.getByRole('row', { name: /2 \(current\).*größer, 日本/ })).toBeVisible();
  await expect(page.getByRole('grid', { name: /^Differences: Revision 1/ })).toContainText(user.name);
  await page.getByRole('button', { name: 'Text', exact: true }).click();
  await expect(page.getByRole('textbox', { name: 'Revision 2' })).toContainText(user.name);
  await axe(page);
  await page.getByRole('button', { name: 'Roll back to 1' }).click();
  await expect(page.getByRole('dialog')).toContainText('is taken away');
  await page.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click();
  await expect(page.getByText('Revision 3 is as revision 1 was')).toBeVisible();
  await expect(page.getByRole('row', { name: /3 \(current\).*Roll back to revision 1/ })).toBeVisible();
  await tab(page, 'Why');
  await expect(page.getByText('Nobody is granted it yet')).toBeVisible();
});

test('form and YAML show one document; what is wrong is at its field; nothing typed is lost', async ({
  stage,
  page,
}) => {
  const name = stage.unique('Both ways');
  const id = await newWorkspace(stage, name);
  await page.goto(`workspaces/${id}?tab=yaml`);
  const yaml = page.getByRole('textbox', { name: 'Workspace as YAML' });
  await expect(yaml).toContainText(`name: ${name}`);
  await axe(page);

  // From text to form, and back.
  const text = (description: string) =>
    `# kept while it is typed\napiVersion: dormer/v1\nkind: Workspace\nmetadata:\n  name: ${name}\n  description: ${description}\nspec:\n  machine:\n    image:\n      name: debian\n`;
  await type(page, text('from the text'));
  await tab(page, 'General');
  const description = page.getByRole('textbox', { name: /^Description/ });
  await expect(description).toHaveValue('from the text');
  await description.fill('from the form');
  await tab(page, 'YAML');
  await expect(yaml).toContainText('description: from the form');

  // A text that is no document stays, and the form waits for it.
  await type(page, text('[never closed'));
  await expect(page.getByRole('heading', { name: /^Danger alert:\s*Line \d+: / })).toBeVisible();
  await tab(page, 'General');
  await expect(page.getByText(/of the YAML view is no document/).first()).toBeVisible();
  await expect(page.getByRole('button', { name: 'Commit', exact: true })).toHaveAttribute('aria-disabled', 'true');
  await tab(page, 'YAML');
  await expect(yaml).toContainText('[never closed');
  await page.getByRole('button', { name: 'Go back to the last text that was a document' }).click();
  await expect(yaml).toContainText('from the form');

  // A fault leads to its field, from wherever it is.
  await tab(page, 'General');
  await page.getByRole('textbox', { name: 'Name', exact: true }).fill('');
  await tab(page, 'History');
  await page.getByRole('button', { name: 'What it is' }).first().click();
  await page.getByRole('button', { name: 'metadata.name' }).click();
  await expect(page.getByRole('textbox', { name: 'Name', exact: true })).toBeFocused();
  await page.getByRole('textbox', { name: 'Name', exact: true }).fill(`${name} again`);

  // Away and back.
  await page.getByRole('link', { name: 'Images' }).first().click();
  await page.getByRole('dialog').getByRole('button', { name: 'Leave and keep them' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Images' })).toBeVisible();
  await page.getByRole('link', { name: 'Workspaces' }).first().click();
  await search(page, 'workspaces', name);
  await page.getByRole('link', { name, exact: true }).click();
  await expect(page.getByRole('textbox', { name: 'Name', exact: true })).toHaveValue(`${name} again`);

  // Discarded, and brought back.
  await page.getByRole('button', { name: 'Discard', exact: true }).click();
  await expect(page.getByRole('textbox', { name: 'Name', exact: true })).toHaveValue(name);
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(page.getByRole('textbox', { name: 'Name', exact: true })).toHaveValue(`${name} again`);

  // One of the changes is taken back, the rest is committed.
  await page.getByRole('button', { name: 'Commit', exact: true }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Take back: spec.machine.image.name' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Commit', exact: true }).click();
  await expect(page.getByRole('heading', { level: 1, name: `${name} again` })).toBeVisible();
  await tab(page, 'YAML');
  await expect(yaml).not.toContainText('name: debian');
});

test('workspaces are cloned, renamed, exported, imported and deleted', async ({ stage, page, open }) => {
  const name = stage.unique('Listed');
  const id = await newWorkspace(stage, name);
  await page.goto('workspaces');
  const rowOf = (of: string) =>
    page.getByRole('row').filter({ has: page.getByRole('link', { name: of, exact: true }) });
  const choose = async (of: string, action: string) => {
    await page.getByRole('button', { name: `Actions of ${of}`, exact: true }).click();
    await page.getByRole('menuitem', { name: action }).click();
  };
  await search(page, 'workspaces', name);
  await expect(rowOf(name)).toContainText('granted to nobody');
  await axe(page);

  const downloading = page.waitForEvent('download');
  await choose(name, 'Export');
  const download = await downloading;
  expect(download.suggestedFilename()).toBe(`${name}.yaml`);
  const exported = readFileSync(await download.path(), 'utf8');
  expect(exported).toContain(`name: ${name}`);

  await choose(name, 'Clone');
  await page.getByRole('dialog').getByRole('button', { name: 'Clone' }).click();
  await expect(page.getByRole('heading', { level: 1, name: `${name} - 2` })).toBeVisible();
  await page.getByRole('button', { name: 'Actions' }).click();
  await page.getByRole('menuitem', { name: 'Rename' }).click();
  await page.getByRole('dialog').getByRole('textbox', { name: 'Name' }).fill(name.toUpperCase());
  await page.getByRole('dialog').getByRole('button', { name: 'Rename' }).click();
  await expect(page.getByRole('dialog')).toContainText('exists');
  await page.getByRole('dialog').getByRole('textbox', { name: 'Name' }).fill(`${name} copy`);
  await page.getByRole('dialog').getByRole('button', { name: 'Rename' }).click();
  await expect(page.getByRole('heading', { level: 1, name: `${name} copy` })).toBeVisible();

  // What a file changes is seen before it replaces anything.
  await page.goto('workspaces');
  await page.getByRole('button', { name: 'Import' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox', { name: 'Text of the document' }).fill('a: [');
  await expect(dialog).toContainText('Line 1:');
  await dialog
    .getByRole('textbox', { name: 'Text of the document' })
    .fill(exported.replace('metadata:\n', 'metadata:\n  description: imported\n'));
  await expect(dialog.getByRole('list', { name: 'Changes' })).toContainText('is set to imported');
  await axe(page);
  await dialog.getByRole('button', { name: 'Replace' }).click();
  await expect(page.getByRole('heading', { level: 1, name })).toBeVisible();
  expect(page.url()).toContain(id);

  // Who may not change anything sees why.
  const reader = await open('read-only');
  await reader.goto(`workspaces/${id}`);
  await expect(reader.getByRole('button', { name: 'Commit', exact: true })).toHaveAttribute('aria-disabled', 'true');

  await page.getByRole('button', { name: 'Actions' }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await expect(page.getByRole('dialog')).toContainText('Nobody has a machine of it.');
  await page.getByRole('dialog').getByRole('textbox').fill(name);
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Workspaces' })).toBeVisible();
  await search(page, 'workspaces', name);
  await expect(page.getByRole('link', { name: `${name} copy`, exact: true })).toBeVisible();
  await expect(page.getByRole('link', { name, exact: true })).toHaveCount(0);
});
