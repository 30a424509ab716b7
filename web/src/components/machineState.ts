/** States of machines as people say them. */
const machineStates: Record<string, string> = {
  absent: 'Image not there',
  downloading: 'Image on its way',
  ready: 'Ready',
  saved: 'Saved',
  starting: 'Starting',
  running: 'Running',
  paused: 'Paused',
  stopping: 'Stopping',
  suspended: 'Suspended',
  switching: 'Switching',
  failed: 'Failed',
  removing: 'Being deleted',
  removed: 'Deleted',
};

/** The state of a machine, as people say it. */
export const machineState = (state: string | undefined): string =>
  state === undefined || state === '' ? 'Not reported yet' : (machineStates[state] ?? state);
