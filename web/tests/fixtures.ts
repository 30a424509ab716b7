import {
  test as base,
  expect,
  request,
  type APIRequestContext,
  type BrowserContextOptions,
  type Page,
} from '@playwright/test';
import type { components } from '../src/api/schema';
import { watch } from './watch';

export { axe } from './axe';
export { expect };

type Schemas = components['schemas'];
type Role = 'full' | 'read-only';

/** Somebody who can sign in to the console. */
export interface Operator {
  name: string;
  password: string;
  role: Role;
}

/** What a computer can be told. All return when it is done and the server knows of it. */
export interface Computer {
  name: string;
  client: string;
  /** Starts the user's workspace: by name, or the only one. */
  start: (workspace?: string) => Promise<void>;
  stop: (workspace?: string) => Promise<void>;
  /** Runs an application that the workspace publishes. */
  run: (application: string, workspace?: string) => Promise<void>;
  /** Ends all machines as a power cut does. */
  crash: () => Promise<void>;
  /** Takes the computer from the network, and brings it back. */
  offline: () => Promise<void>;
  online: () => Promise<void>;
  /** Polls the server at once. */
  poll: () => Promise<void>;
}

/** A computer with somebody at it, whose workspace runs. */
export interface Desk {
  computer: Computer;
  /** Names of its user and its workspace. */
  user: string;
  workspace: string;
}

/** An administrator's computer, on which `dormer console` runs. It knows no server yet. */
export interface Bench {
  /** Lets the first browser that opens it in. */
  address: string;
  /** The administrator's home: disks that are laid here can be chosen. */
  folder: string;
  /** Runs a command line of theirs, and returns what it prints. */
  dormer: (...args: string[]) => Promise<string>;
}

/**
 * One server of this worker's own, with computers. Journeys share it: they make
 * what they need under names of their own, see unique.
 */
export class Stage {
  private count = 0;

  constructor(
    /** The server, without a slash at its end. */
    readonly url: string,
    private readonly id: string,
    /** PEM of what its certificate comes from. */
    readonly authority: string,
    private readonly usersPassword: string,
    private readonly control: APIRequestContext,
    private readonly admin: APIRequestContext,
  ) {}

  /** Address of the console; pages of it are given relative to it: page.goto('workspaces'). */
  get console(): string {
    return `${this.url}/console/`;
  }

  /** A name that nothing else on this server has. */
  unique(text: string): string {
    this.count++;
    return `${text}-${process.env['TEST_WORKER_INDEX'] ?? '0'}-${this.count}`;
  }

  /** Asks the REST API as its first operator: api('GET', '/clients'). */
  async api<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
    const answer = await this.admin.fetch(`${this.url}/api/v1${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { data: body }),
    });
    const text = await answer.text();
    if (!answer.ok()) throw new Error(`${method} ${path}: ${answer.status()} ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  private async tell<T>(path: string, body: object = {}): Promise<T> {
    const answer = await this.control.post(`instances/${this.id}/${path}`, { data: body });
    const text = await answer.text();
    if (!answer.ok()) throw new Error(`stage: ${path}: ${answer.status()} ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  /** Adds a user of the embedded directory. */
  async newUser(name = this.unique('user')): Promise<{ id: string; name: string; password: string }> {
    const user = await this.api<Schemas['UserCreated']>('POST', '/directory/users', {
      name,
      password: this.usersPassword,
    });
    return { id: user.id, name, password: this.usersPassword };
  }

  async newOperator(role: Role = 'full', name = this.unique('operator')): Promise<Operator> {
    const { password } = await this.newUser(name);
    await this.api('PUT', '/operators', { kind: 'user', name, role });
    return { name, password, role };
  }

  /** Commits a workspace: a document as YAML, or as an object. */
  async newWorkspace(document: string | object): Promise<Schemas['Committed']> {
    return await this.api('POST', '/workspaces', document, {
      'Content-Type': typeof document === 'string' ? 'application/yaml' : 'application/json',
    });
  }

  /** Pushes a small image as the next version of name. */
  async image(name: string): Promise<Schemas['ImageVersion']> {
    return await this.tell('images', { name });
  }

  /** Enrols a computer, and signs a user (see newUser) in on it. */
  async computer(name: string, user?: string): Promise<Computer> {
    const { client } = await this.tell<{ client: string }>('computers', { name, user: user ?? '' });
    const act = (action: string) => async (workspace?: string) =>
      await this.tell<void>(`computers/${encodeURIComponent(name)}/${action}`, { workspace: workspace ?? '' });
    return {
      name,
      client,
      start: act('start'),
      stop: act('stop'),
      run: async (application, workspace) =>
        await this.tell(`computers/${encodeURIComponent(name)}/run`, { application, workspace: workspace ?? '' }),
      crash: async () => await act('crash')(),
      offline: async () => await act('offline')(),
      online: async () => await act('online')(),
      poll: async () => await act('poll')(),
    };
  }

  /** A computer named after purpose, with a new user at it whose workspace runs, and stops at once when it is told to. */
  async desk(purpose = 'desk'): Promise<Desk> {
    const image = this.unique('office');
    await this.image(image);
    const user = await this.newUser();
    const workspace = this.unique('Office');
    await this.newWorkspace(
      [
        'apiVersion: dormer/v1',
        'kind: Workspace',
        `metadata: {name: ${workspace}}`,
        `spec: {machine: {image: {name: ${image}}}, performance: {memory: [{guest: 128MiB}]}}`,
        `grants: [{principal: {directory: local, kind: user, name: ${user.name}}, atLimit: {grace: 0s}}]`,
      ].join('\n'),
    );
    const computer = await this.computer(this.unique(purpose), user.name);
    await computer.start();
    await computer.poll();
    return { computer, user: user.name, workspace };
  }

  /** Starts `dormer console` for an administrator. */
  async bench(): Promise<Bench> {
    const { address, folder } = await this.tell<{ address: string; folder: string }>('benches');
    const dormer = async (...args: string[]) => {
      const said = await this.tell<{ code: number; out: string; err: string }>('benches/dormer', {
        folder,
        arguments: args,
      });
      if (said.code !== 0) throw new Error(`dormer ${args.join(' ')}: ${said.code} ${said.err}`);
      return said.out;
    };
    return { address, folder, dormer };
  }

  /** Puts a proxy before the server that has it below a path; the address is that path, without a slash at its end. */
  async proxy(): Promise<string> {
    return (await this.tell<{ url: string }>('proxies')).url;
  }

  /** Sets the server's clock ahead, by seconds. It does not go back. */
  async ahead(seconds: number): Promise<void> {
    await this.tell('ahead', { seconds });
  }

  /** Takes the server away, as when the network is lost. */
  async stopServer(): Promise<void> {
    await this.tell('server/stop');
  }

  async startServer(): Promise<void> {
    await this.tell('server/start');
  }
}

/** Opens the console in a browser of its own, signed in. */
export type Open = (who: Operator | Role | undefined, options?: BrowserContextOptions) => Promise<Page>;

interface Fixtures {
  /**
   * Opens a page as somebody, as a new operator with a role, or as nobody
   * (undefined); at another address with the option baseURL. What goes wrong in it fails the journey, see watch.ts.
   */
  open: Open;
  /** A page of a new operator with the role full, at no address yet. */
  page: Page;
  /** A page of another operator, in another browser. */
  colleague: Page;
  /** Another server, of nobody else's. */
  elsewhere: Stage;
}

interface Made {
  id: string;
  url: string;
  token: string;
  users: string;
  authority: string;
}

/** Makes a server and returns it with what takes it down again. */
async function raise(): Promise<{ stage: Stage; end: () => Promise<void> }> {
  const control = await request.newContext({
    baseURL: `${process.env['DORMER_STAGE'] ?? ''}/`,
    extraHTTPHeaders: { Authorization: `Bearer ${process.env['DORMER_STAGE_SECRET'] ?? ''}` },
  });
  const answer = await control.post('instances');
  if (!answer.ok()) throw new Error(`stage: ${await answer.text()}`);
  const made = (await answer.json()) as Made;
  const admin = await request.newContext({
    ignoreHTTPSErrors: true,
    extraHTTPHeaders: { Authorization: `Bearer ${made.token}` },
  });
  return {
    stage: new Stage(made.url, made.id, made.authority, made.users, control, admin),
    end: async () => {
      await admin.dispose();
      await control.delete(`instances/${made.id}`);
      await control.dispose();
    },
  };
}

export const test = base.extend<Fixtures, { stage: Stage }>({
  stage: [
    // oxlint-disable-next-line no-empty-pattern -- Playwright wants the pattern
    async ({}, provide) => {
      const { stage, end } = await raise();
      await provide(stage);
      await end();
    },
    { scope: 'worker', timeout: 60_000 },
  ],

  // oxlint-disable-next-line no-empty-pattern -- Playwright wants the pattern
  elsewhere: async ({}, provide) => {
    const { stage, end } = await raise();
    await provide(stage);
    await end();
  },

  open: async ({ stage, browser }, provide, info) => {
    const closing: (() => Promise<void>)[] = [];
    const faults: string[] = [];
    await provide(async (who, options = {}) => {
      const context = await browser.newContext({
        ...(info.project.use as BrowserContextOptions),
        baseURL: stage.console,
        ...options,
      });
      closing.push(() => context.close());
      const operator = typeof who === 'string' ? await stage.newOperator(who) : who;
      if (operator) {
        const signedIn = await context.request.post(`${stage.url}/api/v1/sessions`, {
          headers: { 'Dormer-Session': 'cookie' },
          data: { user: operator.name, password: operator.password },
        });
        expect(signedIn.ok(), await signedIn.text()).toBe(true);
      }
      const page = await context.newPage();
      watch(page, options.baseURL ?? stage.url, (fault) => faults.push(fault));
      return page;
    });
    for (const close of closing) await close();
    expect(faults, 'what went wrong in the browser').toEqual([]);
  },

  page: async ({ open }, provide) => {
    await provide(await open('full'));
  },

  colleague: async ({ open }, provide) => {
    await provide(await open('full'));
  },
});
