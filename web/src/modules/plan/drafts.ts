import { isObject, type Json, type JsonObject } from '../../document/json';
import { shelf } from '../../document/shelf';
import { fromYAML } from '../../document/yaml';

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

/** What somebody entered for a plan. */
export interface Entered {
  organization: Json;
  /** A text of the YAML view that is no document. */
  text?: { text: string; line: number; message: string } | undefined;
}

function read(text: string | null): JsonObject | undefined {
  try {
    const value = JSON.parse(text ?? 'null') as Json;
    return isObject(value) ? value : undefined;
  } catch {
    return undefined; // what is not whole is as nothing
  }
}

const isText = (value: unknown): value is Entered['text'] =>
  typeof value === 'object' && value !== null && 'text' in value && 'line' in value && 'message' in value;

/** What was worked on last in this browser. */
export const drafts = shelf<Entered>({
  storage: () => localStorage,
  read: (kept) => {
    const { organization, text } = read(kept) ?? {};
    if (!isObject(organization)) return { organization: blankOrganization() };
    return isText(text) ? { organization, text } : { organization };
  },
  write: (entered) => JSON.stringify(entered),
});

/** Plans that were kept in this browser to compare with, by name. */
export const plans = shelf<Record<string, Json>>({
  storage: () => localStorage,
  read: (kept) => read(kept) ?? {},
  write: (all) => JSON.stringify(all),
});

/** Names what somebody works on, and what they kept: nobody else who signs in here finds it. */
export const draftKey = (who: string): string => `dormer.plan.${who}`;
export const plansKey = (who: string): string => `dormer.plans.${who}`;

/** Keeps a plan under a name, or forgets it. Returns what is kept then. */
export function keep(key: string, name: string, organization: Json | undefined): Record<string, Json> {
  const { [name]: _, ...others } = plans.get(key);
  const all = organization === undefined ? others : { ...others, [name]: organization };
  plans.set(key, all);
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
