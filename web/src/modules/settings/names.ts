import type { Schemas } from '../../api/client';

type Principal = Schemas['Operator']['principal'];

/** The name of a principal as it can be typed anywhere: with its directory where that is not the embedded one. */
export const fullName = ({ directory, name }: Principal): string =>
  directory === 'local' ? name : `${directory}\\${name}`;
