import { isCollection, isMap, isPair, isScalar, isSeq, LineCounter, parseDocument, stringify } from 'yaml';
import type { Json } from './json';
import { steps } from './paths';

/** What is wrong with a text, and in which line of it, from 1. */
export interface TextFault {
  line: number;
  message: string;
}

/** Members that come first where a workspace has them, in the order of the server's own YAML. */
const first = [
  'apiVersion',
  'directory',
  'kind',
  'metadata',
  'spec',
  'grants',
  'principal',
  'name',
  'enabled',
  'description',
  'general',
  'machine',
  'applications',
  'web',
  'setup',
  'network',
  'performance',
];

function ordered(value: Json, order: string[]): Json {
  if (Array.isArray(value)) return value.map((v) => ordered(v, order));
  if (value === null || typeof value !== 'object') return value;
  const place = (name: string) => {
    const at = order.indexOf(name);
    return at < 0 ? order.length : at;
  };
  const names = Object.keys(value).toSorted((a, b) => place(a) - place(b));
  return Object.fromEntries(names.map((n) => [n, ordered(value[n] ?? null, order)]));
}

/**
 * Writes a document as YAML. Texts are quoted that an older reader of YAML
 * would take for something else. Members named in order come first.
 */
export function toYAML(document: Json, order: string[] = first): string {
  return stringify(ordered(document, order), { compat: 'yaml-1.1', lineWidth: 0, aliasDuplicateObjects: false });
}

/** Whether JSON can hold a value: every number is one. */
const isJson = (value: unknown): value is Json => {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (Array.isArray(value)) return value.every(isJson);
  return typeof value === 'object' && Object.values(value).every(isJson);
};

/** The largest text that is read, in characters: the server takes no larger document. */
const largest = 4 * 1024 * 1024;

/** Reads a document of YAML, of which JSON is a part. Anchors and tags are no part of it. */
export function fromYAML(text: string): { document: Json } | { error: TextFault } {
  if (text.length > largest) return { error: { line: 1, message: 'The text is larger than a document can be.' } };
  const lines = new LineCounter();
  const parsed = parseDocument(text, { lineCounter: lines, prettyErrors: false, resolveKnownTags: false });
  const wrong = parsed.errors[0] ?? parsed.warnings[0];
  if (wrong) return { error: { line: lines.linePos(wrong.pos[0]).line || 1, message: sentence(wrong.message) } };
  let value: unknown;
  try {
    value = parsed.toJS({ maxAliasCount: 0 });
  } catch {
    return { error: { line: 1, message: 'Anchors and aliases are not used here: write it out.' } };
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    return { error: { line: 1, message: 'The document has names and values, as "kind: Workspace".' } };
  }
  if (!isJson(value)) return { error: { line: 1, message: 'The document has a value that JSON cannot hold.' } };
  return { document: value };
}

const sentence = (message: string): string => `${message.replace(/\.?\s*$/, '')}.`;

function into(node: unknown, name: string | number): { at?: number; value?: unknown } {
  if (isMap(node)) {
    const pair = node.items.find((p) => isPair(p) && isScalar(p.key) && String(p.key.value) === String(name));
    if (!pair || !isScalar(pair.key)) return {};
    return { at: pair.key.range?.[0] ?? 0, value: pair.value };
  }
  if (isSeq(node)) {
    const value = node.items[Number(name)];
    return isScalar(value) || isCollection(value) ? { at: value.range?.[0] ?? 0, value } : {};
  }
  return {};
}

/** Says in which line of a text each path is, or what is next above it there; from 1. */
export function linesOf(text: string, paths: string[]): number[] {
  const lines = new LineCounter();
  const root = parseDocument(text, { lineCounter: lines });
  return paths.map((path) => {
    let node: unknown = root.contents;
    let offset = 0;
    for (const name of steps(path)) {
      const { at, value } = into(node, name);
      if (at === undefined) break;
      offset = at;
      node = value;
    }
    return lines.linePos(offset).line || 1;
  });
}
