import type { Json } from '../../document/json';
import { isBelow } from '../../document/paths';
import type { Schema } from '../../form/schema';

/** The tabs of the form, and which members of spec stand on them in which order. */
export const groups: { id: string; title: string; members: string[] }[] = [
  { id: 'sites', title: 'Sites and people', members: ['sites', 'links', 'travel'] },
  { id: 'rules', title: 'Domains and separation', members: ['domains', 'networks', 'separations'] },
  { id: 'workspaces', title: 'Images and workspaces', members: ['images', 'workspaces'] },
  {
    id: 'service',
    title: 'Service and figures',
    members: ['service', 'events', 'growth', 'capacity', 'clients', 'consoles'],
  },
  { id: 'questions', title: 'Questions', members: ['questions', 'observed'] },
];

/** The tab on which the whole organization stands as text. */
export const yamlTab = 'yaml';

/** The paths that are on a tab of the form; the first has the name of the plan, too. */
export const pathsOf = (group: { members: string[] }): string[] => [
  ...(group === groups[0] ? ['metadata'] : []),
  ...group.members.map((m) => `spec.${m}`),
];

/** The tab on which a path is. */
export const tabOf = (path: string): string =>
  groups.find((g) => pathsOf(g).some((p) => isBelow(path, p)))?.id ?? yamlTab;

/** What stands first among the members of a thing. */
const first = ['name', 'from', 'to', 'site', 'about', 'subject', 'users', 'active', 'image', 'packed', 'kind'];

const rank = (schema: Schema, name: string): number => {
  const at = first.indexOf(name);
  if (at >= 0) return at;
  return (schema.required ?? []).includes(name) ? first.length : first.length + 1;
};

/** The members of an object's schema: what names it first, then what is needed, then the rest. */
export const ordered = (schema: Schema): [string, Schema][] =>
  Object.entries(schema.properties ?? {}).toSorted(
    ([a], [b]) => rank(schema, a) - rank(schema, b) || a.localeCompare(b),
  );

/** How many columns a list of things has at most. */
const mostColumns = 2;

/** The members that the table of a list shows. */
export const columnsOf = (schema: Schema): string[] =>
  ordered(schema)
    .filter(([, s]) => s.items === undefined)
    .slice(0, mostColumns)
    .map(([name]) => name);

/** A simple value as people read it. */
export const asShown = (value: Json | undefined): string => {
  if (value === undefined || value === null) return '';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value)) return value.map(asShown).join(', ');
  return typeof value === 'object' ? '' : String(value);
};
