import type { Notice } from './notices';

/** What is begun only: nothing is there yet that could be shown. */
const begun = new Set(['image.push']);

/** Whether a name is that of a version of an image, as office/3. */
const isVersionOf = (name: string, image: string): boolean =>
  name.startsWith(`${image}/`) && /^\d+$/.test(name.slice(image.length + 1));

/** Whether a change was made to one thing: by its identity, or its name where it has none. Versions are part of their image. */
export const concerns = ({ kind, action, object, name = '' }: Notice, of: string, id: string): boolean =>
  kind === of && !begun.has(action) && (object === id || name === id || (kind === 'image' && isVersionOf(name, id)));

/** What a change says beside who made it and what was done: which version, or why. */
export const remark = ({ kind, name = '', detail = '' }: Notice): string =>
  kind === 'image' ? (name.includes('/') ? name : '') : detail;
