import { isObject, type Json, type JsonObject } from '../../document/json';
import { fromYAML } from '../../document/yaml';

const key = 'dormer.plan';
const keptKey = 'dormer.plans';

/** A plan's organization before anything is known of it. */
export const blankOrganization = (): JsonObject => ({
  apiVersion: 'dormer/v1',
  kind: 'Organization',
  metadata: { name: 'New plan' },
  spec: {
    domains: [{ name: 'corp.example.test' }],
    sites: [{ name: 'Headquarters', people: [{ users: 100 }] }],
    images: [{ name: 'office', packed: '8GiB' }],
    workspaces: [{ name: 'Office', image: 'office' }],
  },
});

const read = (name: string): Json | undefined => {
  const text = localStorage.getItem(name);
  if (text === null) return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined; // what is not whole is as nothing
  }
};

/** The organization that was worked on last in this browser. */
export function draft(): JsonObject {
  const last = read(key);
  return isObject(last) ? last : blankOrganization();
}

/** Keeps what is worked on in this browser, so that nothing is lost with the page. */
export const keepDraft = (organization: Json): void => localStorage.setItem(key, JSON.stringify(organization));

/** Plans that were kept in this browser to compare with, by name. */
export function kept(): Record<string, Json> {
  const all = read(keptKey);
  return isObject(all) ? all : {};
}

/** Keeps a plan under a name, or forgets it. Returns what is kept then. */
export function keep(name: string, organization: Json | undefined): Record<string, Json> {
  const { [name]: _, ...others } = kept();
  const all = organization === undefined ? others : { ...others, [name]: organization };
  localStorage.setItem(keptKey, JSON.stringify(all));
  return all;
}

/** Reads a file that somebody opened: YAML or JSON, which is YAML too. */
export function opened(text: string): { organization: JsonObject } | { problem: string } {
  const got = fromYAML(text);
  if ('error' in got) return { problem: `line ${got.error.line}: ${got.error.message}` };
  if (!isObject(got.document) || got.document['kind'] !== 'Organization') {
    return { problem: 'kind: must be Organization, as in a file that "dormer plan init" writes' };
  }
  return { organization: got.document };
}
