import { asList, asText, isObject, type Json } from '../../../document/json';
import { valueAt } from '../../../document/paths';

/** One rule of the tab Web; the first that fits an address decides. */
export interface WebRule {
  domain: string;
  prefix: string;
  localNames: boolean;
  open: string;
}

/** The rules of the tab Web, and what holds for all other addresses. */
export interface WebRules {
  rules: WebRule[];
  others: string;
}

/** Reads the rules of a document as it stands on the screen. */
export const readWeb = (web: Json | undefined): WebRules => ({
  rules: asList(valueAt(web ?? null, 'rules'))
    .map((r) => (isObject(r) ? r : {}))
    .map((r) => ({
      domain: asText(r['domain']),
      prefix: asText(r['prefix']),
      localNames: r['localNames'] === true,
      open: asText(r['open']),
    })),
  others: asText(valueAt(web ?? null, 'others')) || 'where-asked',
});

/** Where an address is opened, and the place of the rule that says so; none: the setting for all others. */
export interface Decision {
  open: string;
  rule?: number;
}

/** Returns what decides about an address; undefined: it is none yet. */
export function decide(web: WebRules, address: string): Decision | undefined {
  const host = hostOf(address);
  if (host === undefined) return undefined;
  const rule = web.rules.findIndex((r) => fits(r, host));
  const found = web.rules[rule];
  return found ? { open: found.open, rule } : { open: web.others };
}

/** The host of an address, written with or without its scheme. */
function hostOf(address: string): string | undefined {
  const text = address.trim();
  if (text === '') return undefined;
  // An address of many groups of digits alone is no host with a port.
  const bare = /^[0-9a-f]*:[0-9a-f:.]+$/iu.test(text) ? `[${text}]` : text;
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//iu.test(bare) ? bare : `http://${bare}`);
  const host = url?.hostname.replace(/^\[|\]$/gu, '').replace(/\.$/u, '');
  return host === undefined || host === '' ? undefined : host.toLowerCase();
}

function fits(rule: WebRule, host: string): boolean {
  const bits = addressBits(host);
  if (rule.domain !== '') {
    const domain = rule.domain.toLowerCase().replace(/\.$/u, '');
    return bits === undefined && (host === domain || host.endsWith(`.${domain}`));
  }
  if (rule.prefix !== '') {
    const [network = '', length = ''] = rule.prefix.split('/');
    const wanted = addressBits(network);
    if (bits === undefined || wanted === undefined || !/^[0-9]{1,3}$/u.test(length)) return false;
    return bits.length === wanted.length && bits.startsWith(wanted.slice(0, Number(length)));
  }
  return rule.localNames && bits === undefined && !host.includes('.');
}

/** The groups of a part of an IPv6 address. */
const groups = (s: string | undefined): string[] => (s === undefined || s === '' ? [] : s.split(':'));

/** An IP address as a text of bits, 32 or 128; undefined: it is a name. */
function addressBits(host: string): string | undefined {
  if (/^[0-9]{1,3}(\.[0-9]{1,3}){3}$/u.test(host)) {
    const parts = host.split('.').map(Number);
    return parts.every((p) => p < 256) ? parts.map((p) => p.toString(2).padStart(8, '0')).join('') : undefined;
  }
  if (!host.includes(':')) return undefined;
  // The browser writes every address of six groups and more in one form, an IPv4 address at the end included.
  const written = URL.parse(`http://[${host}]`)?.hostname.slice(1, -1);
  if (written === undefined) return undefined;
  const [before = '', after] = written.split('::');
  const middle = Array<string>(8 - groups(before).length - groups(after).length).fill('0');
  const all = after === undefined ? groups(before) : [...groups(before), ...middle, ...groups(after)];
  return all.map((g) => Number.parseInt(g, 16).toString(2).padStart(16, '0')).join('');
}
