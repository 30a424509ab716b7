import type { Schemas } from '../api/client';

type Principal = Schemas['Session']['principal'];

/** What somebody enters as their name: with their directory, unless it is the first, which names without one are of. */
export const accountOf = ({ directory, name }: Principal, directories: string[]): string =>
  directory === directories[0] ? name : `${directory}\\${name}`;
