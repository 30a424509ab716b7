import type { Schemas } from '../api/client';
import type { Kind, Query } from './query';

/** A column of a report, as the server describes it. */
export type Column = Schemas['ReportColumn'];

/** A row of a report: a value for each column; what is absent is empty. */
export type Row = Record<string, unknown>;

/** A part of a report. */
export interface Page {
  /** What it was asked for; which columns are shown is no part of that. */
  query: Query;
  columns: Column[];
  items: Row[];
  /** What gives the rows after these; absent: there are none. */
  next?: string;
}

/** How the console calls the reports. */
export const titles: Record<Kind, string> = {
  status: 'Status',
  activity: 'Activity',
  errors: 'Errors',
  setup: 'First-time setups',
};

/** Sentences for people about what the rows of a report are. */
export const summaries: Record<Kind, string> = {
  status: 'Every user’s workspaces on every client heard of in this time: where, since when, which versions.',
  activity: 'What happened, newest received first.',
  errors: 'What went wrong, newest received first.',
  setup: 'How far the first-time setup of each machine came.',
};

/** Columns that groups have beside those they are grouped by. */
const counted = new Set(['count', 'first', 'last']);

/** Whether a report can be grouped by a column. */
export const groups = (c: Column): boolean => !counted.has(c.name);

/** Columns of this rank and below are shown when nobody chose any: more do not fit beside each other. */
const fits = 7;

/** The columns that are shown: those chosen, in their order, or those that fit. Groups have all of theirs. */
export function shown(all: Column[], query: Query): Column[] {
  if (query.group !== undefined) return all;
  if (query.columns === undefined) return all.filter((c) => c.rank > 0 && c.rank <= fits);
  return query.columns.flatMap((name) => all.filter((c) => c.name === name));
}

/** A value as a text, which finds it again as an exact filter. */
export function textOf(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value)) return value.map(textOf).join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value as string | number | boolean);
}

/** What tells a row from others, while it changes. */
const identity: Record<Kind, string[]> = {
  status: ['client', 'machine'],
  activity: ['instance', 'id'],
  errors: ['instance', 'id'],
  setup: ['instance', 'client', 'user', 'workspace'],
};

/** What tells a row of a report from the others. */
export const keyOf = (kind: Kind, query: Query, row: Row): string =>
  JSON.stringify((query.group ?? identity[kind]).map((name) => textOf(row[name])));

/** The query for the rows that a row of a grouped report stands for. */
export function rowsOf(query: Query, row: Row): Query {
  const { group = [], sort: _, ...rest } = query;
  const equal = { ...rest.equal };
  for (const name of group) equal[name] = textOf(row[name]);
  return { ...rest, equal };
}

/** The order of a report: the column, and whether the highest comes first. */
export function orderOf(kind: Kind, query: Query): { column: string; descending: boolean } {
  const { sort } = query;
  if (sort === undefined) {
    const newest = kind === 'status' || kind === 'setup' ? 'time' : 'received';
    return { column: query.group === undefined ? newest : 'count', descending: true };
  }
  return sort.startsWith('-') ? { column: sort.slice(1), descending: true } : { column: sort, descending: false };
}

/** Groups by a column too, at a place among the others; the column moves there when it is one already. */
export function groupedBy(query: Query, column: string, at = Infinity): Query {
  const { columns: _, sort: __, ...rest } = query;
  const group = (query.group ?? []).filter((g) => g !== column);
  group.splice(at, 0, column);
  return { ...rest, group };
}

/** Groups by a column no more. */
export function ungrouped(query: Query, column: string): Query {
  const { group, sort: _, ...rest } = query;
  const left = (group ?? []).filter((g) => g !== column);
  return left.length === 0 ? rest : { ...rest, group: left };
}

/** A filter that is on: how it reads, and the query without it. */
export interface Filter {
  name: string;
  value: string;
  without: Query;
}

const texts = [
  ['user', 'User contains'],
  ['host', 'Host contains'],
  ['workspace', 'Workspace'],
  ['client', 'Client'],
] as const;
const lists = [
  ['severity', 'Severity'],
  ['code', 'Event'],
  ['category', 'Category'],
] as const;

/** The filters that are on, the time aside. */
export function filters(query: Query, titleOf: (column: string) => string): Filter[] {
  const on: Filter[] = [];
  for (const [name, label] of texts) {
    const { [name]: value, ...without } = query;
    if (value !== undefined) on.push({ name: label, value, without });
  }
  for (const [name, label] of lists) {
    const { [name]: value, ...without } = query;
    if (value !== undefined) on.push({ name: label, value: value.join(', '), without });
  }
  for (const [column, value] of Object.entries(query.equal ?? {})) {
    const { [column]: _, ...left } = query.equal ?? {};
    const { equal: __, ...rest } = query;
    const without = Object.keys(left).length === 0 ? rest : { ...rest, equal: left };
    on.push({ name: titleOf(column), value: value === '' ? 'nothing' : value, without });
  }
  if (query.instances !== undefined) {
    const { instances, ...without } = query;
    on.push({ name: 'Instances', value: instances.join(', '), without });
  }
  return on;
}

/** The time of a report, for people. */
export function timeOf(query: Query): string {
  if (query.since === undefined && query.until === undefined) {
    return query.days === 1 ? 'last day' : `last ${query.days ?? 7} days`;
  }
  return [query.since && `from ${query.since}`, query.until && `until ${query.until}`]
    .filter((p) => p !== undefined)
    .join(' ')
    .replace('T', ' ');
}
