import type { Schemas } from '../../api/client';
import { plural } from '../../components/format';

/** A row of the list of workspaces. */
export type Row = Schemas['Workspace'];

/** One thing that an administrator should know of a workspace. */
export interface Finding {
  severity: 'danger' | 'warning' | 'info';
  text: string;
}

/** What is the matter with a workspace, the worst first; nothing: it is in order. */
export function findings(w: Row): Finding[] {
  const f = w.figures;
  if (!f) return [{ severity: 'danger', text: 'cannot be read' }];
  const found: Finding[] = [];
  if (f.image_problem !== undefined) found.push({ severity: 'danger', text: 'no image' });
  if (f.grants === 0) found.push({ severity: 'info', text: 'granted to nobody' });
  else if (f.disabled + f.expired === f.grants) found.push({ severity: 'warning', text: 'no grant gives anything' });
  if (f.expired > 0) found.push({ severity: 'warning', text: `${plural(f.expired, 'grant')} expired` });
  if (f.disabled > 0) found.push({ severity: 'info', text: `${plural(f.disabled, 'grant')} disabled` });
  return found;
}

/** What the list can be narrowed down to, by the parameter "state" of its address. */
export const filters: Record<string, { name: string; none: string; fits: (w: Row) => boolean }> = {
  wrong: {
    name: 'With something wrong',
    none: 'Nothing is wrong with any workspace',
    fits: (w) => findings(w).some((f) => f.severity !== 'info'),
  },
  'without-image': {
    name: 'Without their image',
    none: 'Every workspace has its image',
    fits: (w) => w.figures?.image_problem !== undefined,
  },
  'granted-to-nobody': {
    name: 'Granted to nobody',
    none: 'Every workspace is granted to somebody',
    fits: (w) => w.figures?.grants === 0,
  },
  running: {
    name: 'With running machines',
    none: 'No workspace has a machine that runs',
    fits: (w) => (w.figures?.running ?? 0) > 0,
  },
};
