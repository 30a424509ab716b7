import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { Operator, Stage } from './fixtures';
import { ruleOf, type Filled } from './fill';

const examples = join(dirname(fileURLToPath(import.meta.url)), '../../examples/workspaces');

interface Scene {
  filled: Filled;
  operator: Operator;
}

const scenes = new WeakMap<Stage, Promise<Scene>>();

/** Makes a small company with what examples/ has, for pictures; once a stage. */
export async function fillForPictures(stage: Stage): Promise<Scene> {
  const begun = scenes.get(stage) ?? make(stage);
  scenes.set(stage, begun);
  return await begun;
}

async function make(stage: Stage): Promise<Scene> {
  const operator = await stage.newOperator('full', 'Dana Example');
  await stage.newOperator('read-only', 'Auditor');
  const image = 'office-desktop';
  for (const name of [image, image, 'legacy']) await stage.image(name);
  const people = ['alice', 'bob', 'carol', 'dave'];
  for (const name of people) await stage.newUser(name);
  for (const name of ['staff', 'finance']) await stage.api('POST', '/directory/groups', { name });
  const office = {
    ...(parse(readFileSync(join(examples, 'office.yaml'), 'utf8')) as object),
    grants: people.map((name) => ({
      principal: { directory: 'local', kind: 'user', name },
      offline: { allow: 'limited', limit: '8h' },
    })),
  };
  const { id } = await stage.newWorkspace(office);
  for (const name of ['Finance', 'Legacy planning', 'Training']) {
    await stage.newWorkspace({
      apiVersion: 'dormer/v1',
      kind: 'Workspace',
      metadata: { name },
      spec: { machine: { image: { name: name.startsWith('Legacy') ? 'legacy' : image } } },
      grants: [{ principal: { directory: 'local', kind: 'group', name: 'finance' } }],
    });
  }
  // What alice and bob run may ask more of a host than the stage's have: a plain one runs.
  await stage.newWorkspace({
    apiVersion: 'dormer/v1',
    kind: 'Workspace',
    metadata: { name: 'Notes' },
    spec: {
      machine: { image: { name: image } },
      applications: { published: [{ name: 'Notes', command: 'echo notes' }] },
      performance: { memory: [{ guest: '128MiB' }] },
    },
    grants: people.map((name) => ({ principal: { directory: 'local', kind: 'user', name } })),
  });
  let client = '';
  for (const name of people) {
    const computer = await stage.computer(`${name}-laptop`, name);
    client ||= computer.client;
    if (name === 'dave') {
      await computer.offline();
      continue;
    }
    await computer.start('Notes');
    await computer.run('Notes', 'Notes');
    if (name === 'carol') await computer.crash();
  }
  return { filled: { workspace: id, image, client, rule: await ruleOf(stage) }, operator };
}
