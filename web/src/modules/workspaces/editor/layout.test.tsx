import { readFileSync } from 'node:fs';
import { cleanup, fireEvent, render } from '@testing-library/react';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { MemoryRouter } from 'react-router';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Json } from '../../../document/json';
import { isBelow } from '../../../document/paths';
import { leaves, type Schema } from '../../../form/schema';
import { AsOperator } from '../../../session/AsOperator';
import { actionKinds } from './actions';
import type { Draft } from './draft';
import { editorTabs, type EditorTab } from './index';

const schema = JSON.parse(readFileSync('../internal/policy/schema/workspace.schema.json', 'utf8')) as Schema;

/** A document in which everything that fields depend on is switched on. */
const everything: Json = {
  apiVersion: 'dormer/v1',
  kind: 'Workspace',
  metadata: { name: 'Office' },
  spec: {
    general: { frame: { show: true }, hostCommand: { command: '/usr/bin/vpn' } },
    machine: { image: { name: 'office' }, revertible: false },
    applications: {
      published: [{ name: 'Editor', command: 'edit' }],
      menus: [{ name: 'Tools' }],
      publishInstalled: { enabled: true },
      networkDrives: [{ letter: 'X', path: '\\\\files\\share' }],
    },
    web: {
      rules: [
        { domain: 'corp.example.test', open: 'guest' },
        { prefix: '10.0.0.0/8', open: 'host' },
        { localNames: true, open: 'guest' },
      ],
    },
    setup: {
      actions: actionKinds.map((k) => ({
        [k.member]: k.member === 'joinDomain' ? { credentials: 'given', domain: 'corp.example.test' } : k.first,
      })),
    },
    network: { mode: 'bridged', adapters: ['eth0'], dns: { mode: 'servers' } },
    performance: { memory: [{ host: '8GiB', guest: '2GiB' }], processors: [{ host: 4, guest: 2 }] },
  },
  grants: [
    {
      principal: { kind: 'user', name: 'alice' },
      fileTransfer: { direction: 'both' },
      sharedFolders: [{ name: 'Projects', path: '/home/alice/Projects' }],
    },
  ],
};

/** Paths of the fields on the screen, with [] for any place of a list. */
const fields = (): string[] =>
  [...document.querySelectorAll('[id^="field:"]')].map((e) =>
    e.id.slice('field:'.length).replaceAll(/\[\d+\]/gu, '[]'),
  );

/** The buttons of a part of the page whose names begin so; asked for by role they take seconds. */
const buttons = (part: Element, name: string): HTMLElement[] => [
  ...part.querySelectorAll<HTMLElement>(`button[aria-label^="${name}"]`),
];

/** Opens each thing of the lists within a part of the page, and collects the fields of its dialog. */
function opened(part: Element, found: Set<string>): void {
  for (const [i] of buttons(part, 'Edit ').entries()) {
    const button = buttons(part, 'Edit ')[i];
    if (button) fireEvent.click(button);
    const dialog = [...document.querySelectorAll('[role="dialog"]')].at(-1);
    const done = dialog?.querySelector('button[type="submit"]');
    if (!dialog || !done) throw new Error(`${button?.ariaLabel} opens nothing`);
    for (const f of fields()) found.add(f);
    opened(dialog, found);
    fireEvent.click(done);
  }
}

const nothing = () => undefined;
const ws: Draft = {
  document: everything,
  base: everything,
  edit: nothing,
  errors: [],
  warnings: [],
  withholding: { begin: nothing, end: nothing, leave: nothing },
};

/** Draws a tab and returns the paths of all its fields, those of its dialogs too. */
function fieldsOf({ Tab }: EditorTab): Set<string> {
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false, staleTime: Infinity } } });
  queries.setQueryData(['schema', 'workspace'], schema);
  const { container } = render(
    <QueryClientProvider client={queries}>
      <MemoryRouter>
        <AsOperator>
          <Tab ws={ws} />
        </AsOperator>
      </MemoryRouter>
    </QueryClientProvider>,
  );
  const found = new Set(fields());
  opened(container, found);
  return found;
}

const owners = (path: string) => editorTabs.filter((t) => t.prefixes.some((p) => isBelow(path, p)));

describe('the editor', () => {
  // What tabs ask the server for beside the schema stays unanswered here.
  beforeEach(() => void vi.stubGlobal('fetch', () => new Promise(() => undefined)));
  afterEach(() => {
    cleanup();
    vi.unstubAllGlobals();
  });

  const all = leaves(schema);

  test('has each field of the document on exactly one tab by its paths', () => {
    expect(all.filter((path) => owners(path).length !== 1)).toEqual([]);
  });

  test.each(editorTabs)(
    'draws each field of the tab $title',
    (tab) => {
      const wanted = all.filter((path) => tab.prefixes.some((p) => isBelow(path, p)));
      expect(wanted.length).toBeGreaterThan(3);
      const drawn = fieldsOf(tab);
      expect(
        wanted.filter((path) => !drawn.has(path) && !/\.(restart|renameComputer|disableAutomaticSignOn)$/u.test(path)),
      ).toEqual([]);
      expect([...drawn].filter((path) => all.includes(path) && !wanted.includes(path))).toEqual([]);
    },
    60_000,
  );
});
