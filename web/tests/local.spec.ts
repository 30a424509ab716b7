import { randomFillSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { axe, expect, test, type Bench, type Stage } from './fixtures';
import type { Page } from '@playwright/test';
import { inkOf, screenOf, written } from './screen';
import { signIn } from './signIn';

/**
 * The boot sector of a guest that writes each key that is pressed below a line in colours:
 *
 *     cli; xorw %ax,%ax; movw %ax,%ds; movw %ax,%ss; movw $0x7c00,%sp; sti
 *     movw $0x0003,%ax; int $0x10                             # text, an empty screen
 *     movw $0x0923,%ax; movw $0x4e,%bx; movw $40,%cx; int $0x10   # 40 times #, yellow on red
 *     movb $2,%ah; movw $7,%bx; movw $0x200,%dx; int $0x10    # to the third line
 *  1: xorb %ah,%ah; int $0x16                                 # waits for a key
 *     movb $0x0e,%ah; movw $7,%bx; int $0x10; jmp 1b
 */
const typewriter =
  'fa31c08ed88ed0bc007cfbb80300cd10b82309bb4e00b92800cd10b402bb0700ba0002cd1030e4cd16b40ebb0700cd10ebf3';

/** Lays a disk of that many MiB that is full of noise behind a boot sector. */
function layDisk(bench: Bench, name: string, size: number): void {
  const disk = randomFillSync(Buffer.alloc(size << 20)).fill(0, 0, 512);
  disk.write(typewriter, 'hex');
  disk.writeUInt16LE(0xaa55, 510);
  mkdirSync(join(bench.folder, 'Disks'), { recursive: true });
  writeFileSync(join(bench.folder, 'Disks', name), disk);
}

const item = (page: Page, name: string) => page.getByRole('dialog').getByRole('menuitem', { name });

/** The menu of a row. */
async function choose(page: Page, row: string, what: string): Promise<void> {
  await page.getByRole('button', { name: `Actions of ${row}` }).click();
  await page.getByRole('menuitem', { name: what }).click();
}

/** Chooses a server by its address and authority, in the dialog that is open. */
async function chooseServer(page: Page, server: Stage): Promise<void> {
  const dialog = page.getByRole('dialog', { name: 'Server' });
  await dialog.getByLabel('Address').fill(server.url);
  await dialog.getByRole('button', { name: 'Use it' }).click();
  await expect(dialog.getByLabel('Certificate')).toHaveAccessibleDescription(/not from an authority that is trusted/);
  await dialog.getByLabel('Certificate').fill(server.authority);
  await dialog.getByRole('button', { name: 'Use it' }).click();
}

/** Goes the way of somebody who has started `dormer console` for the first time. */
async function begin(page: Page, bench: Bench, server: Stage): Promise<void> {
  await page.goto(bench.address);
  await page.getByRole('button', { name: 'Choose a server' }).click();
  await chooseServer(page, server);
  await signIn(page, await server.newOperator());
  await page.getByRole('link', { name: 'This computer' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'This computer' })).toBeVisible();
}

async function addTest(page: Page, file: string): Promise<void> {
  await page.getByRole('button', { name: 'Add a test image' }).click();
  await item(page, 'Disks').click();
  await item(page, file).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Add' }).click();
  await expect(page.getByRole('gridcell', { name: file.replace(/\..*/, ''), exact: true })).toBeVisible();
}

test('a disk is tested with its screen in the page, and the server is another one', async ({
  stage,
  elsewhere,
  open,
}) => {
  const bench = await stage.bench();
  layDisk(bench, 'typewriter.raw', 2);
  const page = await open(undefined, { baseURL: `${new URL(bench.address).origin}/console/` });
  await begin(page, bench, stage);
  await axe(page);
  await page.getByRole('button', { name: 'Add a test image' }).click();
  await item(page, 'Disks').click();
  await axe(page);
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await addTest(page, 'typewriter.raw');

  await choose(page, 'typewriter', 'Test…');
  await page.getByRole('dialog').getByRole('button', { name: 'Start' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Test of typewriter' })).toBeVisible();
  const screen = screenOf(page, 'typewriter');
  await written(screen);
  const before = await inkOf(screen);
  await screen.click();
  await page.keyboard.type('dormer');
  await expect.poll(async () => await inkOf(screen)).toBeGreaterThan(before + 80);
  await axe(page);

  // All keys are the guest's, but for those that lead back to the page.
  await page.keyboard.press('Tab');
  await expect(screen).toBeFocused();
  await page.keyboard.down('Control');
  await page.keyboard.down('Alt');
  await page.keyboard.down('Shift');
  await expect(page.getByRole('button', { name: 'Use the keyboard in the screen' })).toBeFocused();
  for (const key of ['Shift', 'Alt', 'Control']) await page.keyboard.up(key);

  // The firmware restarts the machine, and its screen comes back by itself.
  await page.getByRole('button', { name: 'Send Ctrl + Alt + Del' }).click();
  await expect(page.getByText('The guest restarted itself.')).toBeVisible();
  await expect.poll(async () => await inkOf(screen)).toBeLessThan(before + 40);
  await written(screen);

  await page.getByRole('link', { name: 'This computer' }).first().click();
  await page.getByRole('link', { name: 'runs: show its screen' }).click();
  await written(screen);
  await page.getByRole('button', { name: 'Shut down' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Shut down' }).click();
  await expect(page.getByText('has ended', { exact: true })).toBeVisible();
  await expect(screen).toBeHidden();

  await page.getByRole('link', { name: 'This computer' }).first().click();
  await choose(page, 'typewriter', 'Forget…');
  await page.getByRole('dialog').getByRole('button', { name: 'Forget' }).click();
  await expect(page.getByRole('heading', { name: 'There are no test images here yet' })).toBeVisible();

  // Another server: all is of that one, and of the first again without another sign-in.
  const image = stage.unique('here');
  await stage.image(image);
  await page.getByRole('button', { name: 'Server: ' }).click();
  await page.getByRole('dialog').getByLabel('Server').selectOption('Another one');
  await chooseServer(page, elsewhere);
  await signIn(page, await elsewhere.newOperator());
  await page.getByRole('navigation').getByRole('link', { name: 'Images' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Images' })).toBeVisible();
  await expect(page.getByRole('link', { name: image, exact: true })).toBeHidden();
  await page.getByRole('button', { name: `Server: ${new URL(elsewhere.url).host}` }).click();
  const known = page.getByRole('dialog').getByLabel('Server');
  await known.selectOption({ value: stage.url });
  await axe(page);
  await page.getByRole('dialog').getByRole('button', { name: 'Use it' }).click();
  await expect(page.getByRole('button', { name: `Server: ${new URL(stage.url).host}` })).toBeVisible();
  await page.getByRole('navigation').getByRole('link', { name: 'Images' }).click();
  await expect(page.getByRole('link', { name: image, exact: true })).toBeVisible();
});

test('an image is packed, uploaded and fetched by jobs that outlive the page', async ({ stage, open }) => {
  const bench = await stage.bench();
  const image = stage.unique('office');
  layDisk(bench, `${image}.raw`, 2);
  layDisk(bench, 'large.raw', 256);
  const page = await open(undefined, { baseURL: `${new URL(bench.address).origin}/console/` });
  await begin(page, bench, stage);
  // Who signed in on the page is signed in for the command line too.
  await bench.dormer('publisher', 'create', stage.unique('Desktop team'));
  await addTest(page, 'large.raw');
  await addTest(page, `${image}.raw`);

  const pack = async (name: string) => {
    await choose(page, name, 'Pack…');
    await page.getByRole('dialog').getByRole('button', { name: 'Pack' }).click();
  };
  const job = (title: string) => page.getByRole('listitem').filter({ hasText: title });

  // Begun by mistake.
  await pack('large');
  await page.getByRole('button', { name: 'Cancel: Pack large' }).click();
  await expect(job('Pack large')).toContainText('cancelled');
  await page.getByRole('button', { name: 'Forget: Pack large' }).click();
  await page.getByRole('tab', { name: 'Packed images' }).click();
  await expect(page.getByRole('button', { name: 'Actions of large' })).toBeHidden();

  // Progress outlives the page.
  await page.getByRole('tab', { name: 'Test images' }).click();
  await pack('large');
  const progress = page.getByRole('progressbar', { name: 'Pack large' });
  await expect(progress).toHaveAttribute('aria-valuenow', /^[1-9]/);
  const done = Number(await progress.getAttribute('aria-valuenow'));
  await page.reload();
  await expect(page.getByRole('tab', { name: /^Jobs/, selected: true })).toBeVisible();
  await expect(progress.or(job('large is packed.'))).toBeVisible();
  const after = (await progress.isVisible()) ? await progress.getAttribute('aria-valuenow') : '100';
  expect(Number(after)).toBeGreaterThanOrEqual(done);
  await axe(page);
  await expect(job('Pack large')).toContainText('large is packed.', { timeout: 120_000 });
  await page.getByRole('button', { name: 'Forget: Pack large' }).click();
  await expect(page.getByRole('heading', { name: 'Nothing is under way' })).toBeVisible();

  await page.getByRole('tab', { name: 'Test images' }).click();
  await pack(image);
  await expect(job(`Pack ${image}`)).toContainText(`${image} is packed.`);
  await page.getByRole('tab', { name: 'Packed images' }).click();
  await choose(page, image, 'Upload');
  await expect(job(`Upload ${image}`)).toContainText(`${image}/1 is on the server.`);
  await page.getByRole('tab', { name: 'Packed images' }).click();
  await axe(page);
  await page.getByRole('link', { name: `as ${image}/1` }).click();
  await expect(page.getByRole('heading', { level: 1, name: `${image}/1` })).toBeVisible();

  // The server's image becomes a test image of this computer.
  await page.getByRole('button', { name: 'On this computer' }).click();
  await page.getByRole('menuitem', { name: 'Extract…' }).click();
  await page.getByRole('textbox', { name: 'Test image' }).fill('again');
  await page.getByRole('dialog').getByRole('button', { name: 'Extract' }).click();
  await expect(job(`Extract ${image}/1`)).toContainText(join(bench.folder, `${image}.qcow2`));
  await page.getByRole('tab', { name: 'Test images' }).click();
  await expect(page.getByRole('row').filter({ hasText: `${image}.qcow2` })).toContainText('again');

  await page.getByRole('tab', { name: 'Packed images' }).click();
  await choose(page, image, 'Delete…');
  await page.getByLabel(/^Type .* to confirm/).fill(image);
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByText(`${image} is deleted on this computer`)).toBeVisible();
  await expect(page.getByRole('button', { name: `Actions of ${image}` })).toBeHidden();
});
