import { isObject, type Json, type JsonObject } from '../document/json';
import { steps } from '../document/paths';

/** What a JSON Schema of the server says about one value; only what the server writes. */
export interface Schema {
  title?: string;
  description?: string;
  type?: string;
  const?: Json;
  enum?: string[];
  default?: Json;
  /** The default in words, where it is no single value. */
  'x-default'?: string;
  pattern?: string;
  minLength?: number;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  properties?: { [member: string]: Schema };
  required?: string[];
  items?: Schema;
}

/** Returns what a schema says about a path: spec.machine.image.name, grants[].enabled or grants[2].enabled. */
export const schemaAt = (root: Schema, path: string): Schema | undefined =>
  steps(path).reduce<Schema | undefined>(
    (s, step) => (typeof step === 'number' ? s?.items : s?.properties?.[step]),
    root,
  );

/** Says whether the object around a path must have its last member. */
export function isRequired(root: Schema, path: string): boolean {
  const cut = path.lastIndexOf('.');
  return schemaAt(root, path.slice(0, Math.max(0, cut)))?.required?.includes(path.slice(cut + 1)) ?? false;
}

/** What kind of value a schema describes, and so which control is drawn for it. */
export type Kind =
  | 'boolean'
  | 'choice'
  | 'choices'
  | 'integer'
  | 'duration'
  | 'latency'
  | 'size'
  | 'rate'
  | 'share'
  | 'color'
  | 'date'
  | 'time'
  | 'text'
  | 'texts'
  | 'constant'
  | 'object'
  | 'list'
  | 'free';

/** A text of the form that a pattern describes tells it by matching where others do not. */
const forms: [string, Kind][] = [
  ['1d2h3m4s', 'duration'],
  ['512GiB', 'size'],
  ['100Mbit/s', 'rate'],
  ['250us', 'latency'],
  ['50%', 'share'],
  ['#00aaFF', 'color'],
  ['2027-03-31 Europe/Berlin', 'date'],
  ['23:30', 'time'],
];

/** Patterns that fit more than one form, or a word beside a form, are texts. */
function formOf(pattern: string): Kind {
  const expression = new RegExp(pattern, 'u');
  const fitting = forms.filter(([text]) => expression.test(text));
  const word = expression.test('none') || expression.test('abc') || expression.test('x');
  return fitting.length === 1 && !word ? (fitting[0]?.[1] ?? 'text') : 'text';
}

/** Returns the kind of a value that a schema describes. */
export function kindOf(schema: Schema): Kind {
  if (schema.const !== undefined) return 'constant';
  switch (schema.type) {
    case 'boolean':
      return 'boolean';
    case 'integer':
      return 'integer';
    case 'object':
      return schema.properties === undefined ? 'free' : 'object';
    case 'array':
      if (schema.items?.enum) return 'choices';
      return schema.items?.type === 'string' ? 'texts' : 'list';
    case 'string':
      if (schema.enum) return 'choice';
      return schema.pattern === undefined ? 'text' : formOf(schema.pattern);
    default:
      return 'free';
  }
}

/** Lists the paths of the values that a schema describes, with [] for any place of a list: grants[].enabled. */
export function leaves(schema: Schema, path = ''): string[] {
  if (schema.items && kindOf(schema) === 'list') return leaves(schema.items, `${path}[]`);
  const members = Object.entries(schema.properties ?? {});
  if (members.length === 0) return [path];
  return members.flatMap(([name, s]) => leaves(s, path === '' ? name : `${path}.${name}`));
}

/** Lists the paths of members that a schema does not know: a newer server wrote them. */
export function unknown(schema: Schema, document: Json, path = ''): string[] {
  if (Array.isArray(document)) {
    const { items } = schema;
    return items ? document.flatMap((item, i) => unknown(items, item, `${path}[${i}]`)) : [];
  }
  if (!isObject(document) || schema.properties === undefined) return [];
  const { properties } = schema;
  return Object.entries(document).flatMap(([name, value]) => {
    const at = path === '' ? name : `${path}.${name}`;
    const known = Object.hasOwn(properties, name) ? properties[name] : undefined;
    return known ? unknown(known, value, at) : [at];
  });
}

/**
 * Reads what a description says about each value of a choice, as in "lock: at
 * once; stop: after a while". general is the rest, which is about all of them.
 */
export function explanations(
  description: string,
  values: readonly string[],
): { of: Partial<Record<string, string>>; general: string } {
  const of: Partial<Record<string, string>> = {};
  const general: string[] = [];
  let last: string | undefined;
  for (const part of description.split(/(?<=[;.])\s+/u)) {
    const found = /^([A-Za-z-]+)(?::\s*(.*))?[;.]?$/su.exec(part.replace(/[;.]$/u, ''));
    const value = found?.[1];
    if (value !== undefined && values.includes(value)) {
      of[value] = found?.[2] ?? '';
      last = value;
    } else if (last !== undefined && !/[.]$/u.test(of[last] ?? '') && general.length === 0 && part.endsWith(';')) {
      of[last] = `${of[last]}; ${part.replace(/;$/u, '')}`;
    } else {
      general.push(part.replace(/;$/u, '.'));
    }
  }
  return { of, general: general.join(' ') };
}

/** A list item as a new one begins: what must be there, empty, so that its faults are seen. */
export function blank(schema: Schema): JsonObject {
  return Object.fromEntries(
    (schema.required ?? []).flatMap((name): [string, Json][] => {
      const member = schema.properties?.[name];
      if (member?.enum?.[0] !== undefined) return [[name, member.enum[0]]];
      if (member?.type === 'object') return [[name, blank(member)]];
      return member?.type === 'string' ? [[name, '']] : [];
    }),
  );
}
