import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Filled } from './fill';

const source = join(dirname(fileURLToPath(import.meta.url)), '../src/modules');

/** What stands for a part of a path that is not the same everywhere, by module and route. */
const meant: Record<string, (of: Filled) => string[]> = {
  'workspaces/:id': (f) => [
    `workspaces/${f.workspace}`,
    ...namesOf('workspaces/editor/index.ts', 'id').map((tab) => `workspaces/${f.workspace}?tab=${tab}`),
    ...['yaml', 'history', 'why'].map((tab) => `workspaces/${f.workspace}?tab=${tab}`),
  ],
  'images/:name': (f) => [`images/${f.image}`],
  'images/:name/:number': (f) => [`images/${f.image}/1`],
  'clients/:id': (f) => [`clients/${f.client}`],
  'reports/:section': () => [
    ...['status', 'activity', 'errors', 'setup'].map((kind) => `reports/${kind}`),
    ...namesOf('reports/Reports.tsx', 'path').map((name) => `reports/${name}`),
  ],
  'settings/:section': () => namesOf('settings/Settings.tsx', 'path').map((name) => `settings/${name}`),
  'alerts/:section?': () => namesOf('alerts/Alerts.tsx', 'path').map((name) => `alerts/${name}`),
  'alerts/rules/:name': (f) => [`alerts/rules/${f.rule}`],
};

/** The names that a file of a module gives to its sections or tabs. */
function namesOf(file: string, member: 'path' | 'id'): string[] {
  const text = readFileSync(join(source, file), 'utf8');
  return [...text.matchAll(new RegExp(`\\b${member}: '([a-z-]+)',`, 'g'))].map(([, name]) => name ?? '');
}

/** The modules of the server's own console. */
function modules(): { path: string; text: string }[] {
  return readdirSync(source).flatMap((folder) => {
    const text = readFileSync(join(source, folder, 'index.ts'), 'utf8');
    const path = /^ {2}path: '([^']*)'/m.exec(text)?.[1];
    return path === undefined || /^ {2}local: true/m.test(text) ? [] : [{ path, text }];
  });
}

/**
 * The address of every page, relative to the console: what the modules have as
 * routes. A route with a part that nothing is known for is an error.
 */
export function routes(of: Filled): string[] {
  return modules().flatMap(({ path, text }) => {
    const below = [...text.matchAll(/\{ path: '([^']+)'/g)].map(([, route]) => `${path}/${route ?? ''}`);
    return [path, ...below].flatMap((route) => {
      const known = meant[route];
      if (known) return known(of);
      if (route.includes(':')) throw new Error(`tests/routes.ts does not know what ${route} means`);
      return [route];
    });
  });
}
