import { api, data, raw, type Schemas } from '../../api/client';
import type { Json } from '../../document/json';

/** A revision of a workspace with its document. */
export interface Held {
  document: Json;
  /** The entity tag, in quotes, as If-Match wants it. */
  tag: string;
  revision: number;
}

const path = (id: string): string => `/workspaces/${encodeURIComponent(id)}`;

/** Reads a workspace's document, or that of an earlier revision. */
export async function load(id: string, revision?: number): Promise<Held> {
  const answer = await raw(revision === undefined ? path(id) : `${path(id)}/revisions/${revision}`);
  return {
    document: (await answer.json()) as Json,
    tag: answer.headers.get('ETag') ?? '',
    revision: Number(answer.headers.get('Dormer-Revision')),
  };
}

/**
 * A message as a header can carry it: one line, each byte of its UTF-8 as a
 * character, for a header of the browser has no others.
 */
export const headerText = (message: string): string =>
  Array.from(new TextEncoder().encode(message.replaceAll(/\s+/g, ' ').trim()), (b) => String.fromCharCode(b)).join('');

const json = (document: Json, headers: Record<string, string>): RequestInit => ({
  body: JSON.stringify(document),
  headers: { 'Content-Type': 'application/json', ...headers },
});

const explained = (message: string): Record<string, string> => {
  const text = headerText(message);
  return text === '' ? {} : { 'Dormer-Message': text };
};

/** Commits a document over the revision of that tag. */
export async function commit(id: string, document: Json, tag: string, message: string) {
  const answer = await raw(path(id), { method: 'PUT', ...json(document, { 'If-Match': tag, ...explained(message) }) });
  return (await answer.json()) as Schemas['Committed'];
}

/** Makes a workspace of a document. */
export async function create(document: Json, message: string) {
  const answer = await raw('/workspaces', { method: 'POST', ...json(document, explained(message)) });
  return (await answer.json()) as Schemas['Committed'];
}

/** What the server would warn of when the document were committed; rejects with what is wrong. */
export async function validate(document: Json, signal?: AbortSignal): Promise<Schemas['FieldError'][]> {
  const answer = await raw('/workspaces/validate', {
    method: 'POST',
    ...json(document, {}),
    ...(signal && { signal }),
  });
  return ((await answer.json()) as Schemas['Validated']).warnings;
}

/** All workspaces with what they come to now; with a name that one. */
export const listed = async (name?: string) =>
  (await data(api.GET('/workspaces', { params: { query: { figures: true, ...(name !== undefined && { name }) } } })))
    .items;

/** All revisions of a workspace, the newest first, without their documents. */
export const history = async (id: string) =>
  (await data(api.GET('/workspaces/{id}/revisions', { params: { path: { id } } }))).items;

/** The workspace as the server writes it as YAML. */
export async function exported(id: string): Promise<string> {
  return (await raw(path(id), { headers: { Accept: 'application/yaml' } })).text();
}

/** A file's name for a workspace: its own without what file systems do not take. */
export function fileName(workspace: string): string {
  const safe = workspace.replaceAll(/[\p{Cc}<>:"/\\|?*]+/gu, '-').replace(/^\.+/, '');
  return `${safe.slice(0, 100) || 'workspace'}.yaml`;
}
