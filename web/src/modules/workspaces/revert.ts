import type { Change } from '../../document/difference';
import type { Json } from '../../document/json';
import { valueAt, withValue } from '../../document/paths';

/** Takes one change back; undefined: it cannot be taken back by itself. */
export function without(document: Json, change: Change): Json | undefined {
  if (change.order) return undefined;
  const item = /^(.*)\[(\d+)\]$/.exec(change.path);
  if (change.after === undefined && change.before !== undefined && item) {
    const [, list = '', place = '0'] = item;
    const items = valueAt(document, list);
    // The place is that in the earlier document: later items may have moved up.
    return withValue(document, list, (Array.isArray(items) ? items : []).toSpliced(Number(place), 0, change.before));
  }
  return withValue(document, change.path, change.before);
}
