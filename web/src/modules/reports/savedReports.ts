import { api, data, type Schemas } from '../../api/client';
import { Problem } from '../../api/problem';

/** A report that was given a name. */
export type SavedReport = Schemas['SavedReport'];

/** The reports that were given a name, of all operators. */
export const savedReports = {
  queryKey: ['report', 'saved'],
  queryFn: () => data(api.GET('/reports/saved')),
};

/** A name as the server compares it. */
export const folded = (name: string): string => name.normalize('NFC').toLowerCase();

/** The report that is gone when another is saved under a name; own: what that one is called so far. */
export const replaced = (all: SavedReport[], name: string, own: string | undefined): SavedReport | undefined =>
  own !== undefined && folded(own) === folded(name) ? undefined : all.find((r) => folded(r.name) === folded(name));

/** Says that a name is taken, at its field. */
export const taken = (by: SavedReport): Problem =>
  new Problem({
    title: 'Conflict',
    status: 409,
    fields: [
      {
        path: 'name',
        message: `is that of a report that ${by.changed_by} saved: choose another, or say that it is replaced`,
      },
    ],
  });
