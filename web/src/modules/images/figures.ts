import type { Schemas } from '../../api/client';
import { bytes, part, plural } from '../../components/format';

type Image = Schemas['Image'];
type ImageVersion = Schemas['ImageVersion'];
type ImageUse = Schemas['ImageUse'];

/** The version that workspaces get which name none; undefined: the image has no version. */
export const newest = (image: Image): ImageVersion | undefined =>
  image.versions.reduce<ImageVersion | undefined>((a, v) => (a && a.number > v.number ? a : v), undefined);

/** Who uses a version. */
export const usesOf = (image: Image, number: number): ImageUse[] => image.used_by.filter((u) => u.number === number);

/** What all images take, and what they save by sharing within each of them. */
export const total = (images: Image[]): { versions: number; stored: number; saved: number } => ({
  versions: images.reduce((n, i) => n + i.versions.length, 0),
  stored: images.reduce((n, i) => n + i.stored, 0),
  saved: images.reduce((n, i) => n + i.saved, 0),
});

/** How versions are called together: "1, 2 and 5", and how many more there are. */
export function numbersText(numbers: number[], most = 8): string {
  const sorted = numbers.toSorted((a, b) => a - b);
  if (sorted.length > most) return `${sorted.slice(0, most).join(', ')} and ${sorted.length - most} more`;
  return sorted.length < 2 ? sorted.join('') : `${sorted.slice(0, -1).join(', ')} and ${sorted.at(-1)}`;
}

/** What deliveries of one version came to: "to 3 clients: 1 GiB of 5 GiB came over the network, 80 % saved." */
export function deliveredText({ total: all, images }: Schemas['DeliveryReport']): string {
  if (all.deliveries === 0) return 'to no client yet.';
  const clients = images.reduce((n, i) => n + (i.clients ?? 0), 0);
  return `to ${plural(clients, 'client')}: ${bytes(all.fetched)} of ${bytes(all.size)} came over the network, ${part(all.saved, all.size)} saved.`;
}
