import { nameOf } from './identity';
import { isObject, type Json } from './json';
import { steps } from './paths';

/** Members that only hold others together: people do not miss them in what a field is called. */
const frames = new Set(['metadata', 'spec', 'principal']);

/** Words that are abbreviations. */
const abbreviations = new Set(['cpu', 'dns', 'id', 'ip', 'mac', 'nat', 'ou', 'url', 'usb', 'vpn']);

/** A word of a document as people read it: atLimit is "At limit", refuse-start "Refuse start", ipPrefix "IP prefix". */
export function words(name: string): string {
  const parts = name
    .replaceAll(/([a-z0-9])([A-Z])/gu, '$1 $2')
    .split(/[-_. ]+/u)
    .map((part) => part.toLowerCase())
    .map((part) => (abbreviations.has(part) ? part.toUpperCase() : part));
  const text = parts.join(' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A label within a sentence: abbreviations stay as they are. */
export const inSentence = (label: string): string =>
  /^\p{Lu}\p{Ll}/u.test(label) ? label.charAt(0).toLowerCase() + label.slice(1) : label;

/**
 * What people call the field at a path, from outside to inside: Grants, alice,
 * Offline, Budget. Items are called by what names them in the document.
 */
export function crumbs(path: string, document: Json): string[] {
  const found: string[] = [];
  let at: Json | undefined = document;
  for (const step of steps(path)) {
    if (typeof step === 'number') {
      at = Array.isArray(at) ? at[step] : undefined;
      found.push(nameOf(at) ?? `no. ${step + 1}`);
    } else {
      at = isObject(at) ? at[step] : undefined;
      if (!frames.has(step)) found.push(words(step));
    }
  }
  return found;
}

/** A single value as people read it; undefined for what has parts. */
export function plain(v: Json | undefined): string | undefined {
  if (v === undefined) return 'not set';
  if (v === null) return 'nothing';
  if (typeof v === 'boolean') return v ? 'yes' : 'no';
  if (typeof v === 'number') return String(v);
  if (typeof v === 'string') return v === '' ? 'empty' : v;
  if (Array.isArray(v)) {
    if (v.length === 0) return 'none';
    const parts = v.map((item) => (typeof item === 'object' ? undefined : plain(item)));
    return parts.includes(undefined) ? undefined : parts.join(', ');
  }
  return Object.keys(v).length === 0 ? 'present' : undefined;
}
