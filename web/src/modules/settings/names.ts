import type { Schemas } from '../../api/client';

type Principal = Schemas['Operator']['principal'];

/** The name of a principal as people read it: with its directory where that is not the embedded one. */
export const fullName = ({ directory, name }: Principal): string =>
  directory === 'local' ? name : `${directory}\\${name}`;

/** The name of a principal as the API finds nobody else by it, whichever directory is meant without a name. */
export const exactName = ({ directory, name }: Principal): string => `${directory}\\${name}`;

/** Whether two principals are the same one, whatever they are called now. */
export const isSame = (a: Principal, b: Principal): boolean =>
  a.kind === b.kind && a.directory === b.directory && a.key === b.key;
