import type { Stage } from './fixtures';

/** Texts that must be shown as they are: nothing in them runs. */
export const markup = `<script>alert('ran')</script><img src=x onerror="alert('ran')">`;

/** The same for names that a path has, in which no slash may be. */
const mark = '<img src=x onerror=alert(1)>';

/** Names in several scripts, right to left ones among them. */
export const names = [
  'Büro für Planung',
  'Бухгалтерия',
  'Λογιστήριο',
  'قسم الحسابات',
  '総務部のワークスペース',
  '재무팀',
];

/** As long as a name may be. */
export const longName = 'Ünïcödé-Wörkspäce-wíthöut-ány-spáce-'.repeat(6).slice(0, 200);

/** What was made on a stage, for those who go to its pages. */
export interface Filled {
  workspace: string;
  image: string;
  client: string;
  /** A rule of alerts. */
  rule: string;
}

interface Document {
  name: string;
  description?: string;
  image: string;
  users?: string[];
}

const document = ({ name, description, image, users = [] }: Document): object => ({
  apiVersion: 'dormer/v1',
  kind: 'Workspace',
  metadata: { name, ...(description === undefined ? {} : { description }) },
  spec: {
    machine: { image: { name: image } },
    applications: { published: [{ name: 'Writer', command: '/usr/bin/writer' }] },
    performance: { memory: [{ guest: '128MiB' }] },
  },
  grants: users.map((user) => ({ principal: { directory: 'local', kind: 'user', name: user } })),
});

const filled = new WeakMap<Stage, Promise<Filled>>();

/** Fills a stage with something of everything, once. */
export async function fill(stage: Stage): Promise<Filled> {
  const begun = filled.get(stage) ?? make(stage);
  filled.set(stage, begun);
  return await begun;
}

async function make(stage: Stage): Promise<Filled> {
  const image = stage.unique('office-desktop');
  await stage.image(image);
  await stage.image(image);
  const { name: user } = await stage.newUser();
  const { name: strange } = await stage.newUser(stage.unique('Zoë Ωmega 花子'));
  await stage.api('POST', '/directory/groups', { name: stage.unique('Büro & Verwaltung') });
  const { id } = await stage.newWorkspace(
    document({ name: `Office ${markup}`.slice(0, 200), description: markup, image, users: [user, strange] }),
  );
  for (const name of [...names, longName]) await stage.newWorkspace(document({ name, description: markup, image }));
  await stage.api('PUT', '/secrets/domain-join', { value: 'a value for tests' });
  await stage.api('POST', '/join-tokens', { name: markup, managed: true });
  await stage.api('POST', '/api-tokens', { name: markup, role: 'read-only' });
  await stage.api('PUT', `/reports/saved/${encodeURIComponent(`Errors ${mark}`)}`, {
    report: 'errors',
    description: markup,
    query: { days: 1 },
  });
  await stage.api('POST', '/directory/users', { name: stage.unique('markup'), display_name: markup });
  await stage.api('PUT', '/alert-rules/markup', {
    name: 'markup',
    enabled: true,
    severity: 'warning',
    text: markup,
    clear_after: '1h',
    state: { observed: 'clients_connected', comparison: 'above', value: 0 },
  });
  const desk = await stage.computer(`desk-${longName}`.slice(0, 60), user);
  await desk.start(`Office ${markup}`.slice(0, 200));
  await stage.api('POST', `/clients/${desk.client}/orders`, { kind: 'refresh', reason: markup });
  return { workspace: id, image, client: desk.client, rule: await ruleOf(stage) };
}

/** The name of a rule of alerts that came with the program. */
export async function ruleOf(stage: Stage): Promise<string> {
  const rules = await stage.api<{ items: { name: string }[] }>('GET', '/alert-rules');
  return rules.items[0]?.name ?? '';
}
