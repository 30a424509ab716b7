import { asList, asText, isObject, type Json } from '../../document/json';
import { valueAt } from '../../document/paths';

/** What can be asked of a condition: a name of the organization, or a number. */
export interface Blank {
  label: string;
  /** Lists of the organization whose names fit; none: a number is asked for. */
  names?: { list: string; before: string }[];
}

/** A condition that might be otherwise than the plan says, as POST /plan/explain takes it. */
export interface Kind {
  id: string;
  title: string;
  blanks: Blank[];
  text: (filled: string[]) => string;
}

const sites = { list: 'sites', before: 'site:' };
const networks = { list: 'networks', before: 'network:' };
const domains = { list: 'domains', before: 'domain:' };

/** The kinds of conditions that can be tried. */
export const kinds: Kind[] = [
  {
    id: 'users',
    title: 'More or fewer people at a site',
    blanks: [{ label: 'People more (− for fewer)' }, { label: 'Site', names: [{ ...sites, before: '' }] }],
    text: ([n = '', site = '']) => `users=${n.startsWith('-') ? '' : '+'}${n.replace(/^\+/u, '')}@${site}`,
  },
  {
    id: 'capacity',
    title: 'Another capacity of an instance',
    blanks: [{ label: 'Clients' }],
    text: ([n = '']) => `capacity=${n}`,
  },
  {
    id: 'separate',
    title: 'Somebody must be served apart',
    blanks: [{ label: 'Who', names: [sites, domains, networks] }],
    text: ([who = '']) => `separate=${who}`,
  },
  {
    id: 'isolate',
    title: 'Somebody is on an isolated network',
    blanks: [{ label: 'Who', names: [sites, domains] }],
    text: ([who = '']) => `isolate=${who}`,
  },
  {
    id: 'trust',
    title: 'A domain trusts another',
    blanks: [
      { label: 'Domain', names: [{ ...domains, before: '' }] },
      { label: 'accepts people of', names: [{ ...domains, before: '' }] },
    ],
    text: ([a = '', b = '']) => `trust=${a}:${b}`,
  },
  {
    id: 'distrust',
    title: 'A domain does not trust another',
    blanks: [
      { label: 'Domain', names: [{ ...domains, before: '' }] },
      { label: 'does not accept people of', names: [{ ...domains, before: '' }] },
    ],
    text: ([a = '', b = '']) => `distrust=${a}:${b}`,
  },
  {
    id: 'without',
    title: 'Without a separation or network',
    blanks: [{ label: 'Which', names: [{ list: 'separations', before: 'separation:' }, networks] }],
    text: ([what = '']) => `without=${what}`,
  },
];

/** The names of the organization that fit in a blank, as the condition writes them. */
export const fitting = (organization: Json, blank: Blank): string[] =>
  (blank.names ?? []).flatMap(({ list, before }) => {
    const named = asList(valueAt(organization, `spec.${list}`)).map((i) => (isObject(i) ? asText(i['name']) : ''));
    return named.filter((n) => n !== '').map((n) => before + n);
  });
