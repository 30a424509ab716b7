import { join } from 'node:path';
import { axe, expect, test } from './fixtures';
import { inkOf, screenOf, written } from './screen';
import { signIn } from './signIn';
import { addTest, begin, choose, chooseServer, item, layDisk } from './thisComputer';

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
  layDisk(bench, 'large.raw', 512);
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
