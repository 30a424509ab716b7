import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Filled } from './fill';

const source = join(dirname(fileURLToPath(import.meta.url)), '../src/modules');

/** What modules have behind `:section`, by the file that lists it. */
const sections: Record<string, string> = { reports: 'reports', settings: 'settings/Settings.tsx' };

/** Parts of paths that stand for something, by module. */
const meant: Record<string, (of: Filled) => string> = {
  'workspaces/:id': (f) => `workspaces/${f.workspace}`,
  'images/:name': (f) => `images/${f.image}`,
  'images/:name/:number': (f) => `images/${f.image}/1`,
  'clients/:id': (f) => `clients/${f.client}`,
};

function filesOf(path: string): string[] {
  return path.endsWith('.tsx')
    ? [path]
    : readdirSync(path)
        .filter((name) => /\.tsx?$/.test(name) && !name.includes('.test.'))
        .map((name) => join(path, name));
}

/** The modules, in the order of their names: path and, but for the local one, whether they are everywhere. */
function modules(): { path: string; text: string }[] {
  return readdirSync(source).flatMap((folder) => {
    const text = readFileSync(join(source, folder, 'index.ts'), 'utf8');
    const path = /^ {2}path: '([^']*)'/m.exec(text)?.[1];
    if (path === undefined || /^ {2}local: true/m.test(text)) return [];
    return [{ path, text }];
  });
}

/**
 * The address of every page, relative to the console: what the modules have as
 * routes. A route with a placeholder that nothing is known for is an error.
 */
export function routes(of: Filled): string[] {
  return modules().flatMap(({ path, text }) => {
    const below = [...text.matchAll(/\{ path: '([^']+)'/g)].map(([, route]) => `${path}/${route ?? ''}`);
    return [path, ...below].flatMap((route) => {
      const known = meant[route];
      if (known) return [known(of)];
      if (route.endsWith('/:section')) return namesOf(path).map((name) => `${path}/${name}`);
      if (route.includes(':')) throw new Error(`tests/routes.ts does not know what ${route} means`);
      return [route];
    });
  });
}

function namesOf(path: string): string[] {
  const found = filesOf(join(source, sections[path] ?? path)).flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/\bpath: '([a-z-]+)',/g)].map(([, name]) => name ?? ''),
  );
  return [...new Set(found)].filter((name) => name !== path);
}
