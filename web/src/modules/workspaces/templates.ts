import { isObject, type Json, type JsonObject } from '../../document/json';

/** Something to begin a workspace with. */
export interface Template {
  id: string;
  name: string;
  says: string;
  spec: JsonObject;
}

/** What new workspaces begin with. All of it can be changed afterwards. */
export const templates: Template[] = [
  {
    id: 'minimal',
    name: 'Minimal',
    says: 'An image, and the default of everything else.',
    spec: {},
  },
  {
    id: 'office',
    name: 'Office',
    says: 'Windows among those of the host, a machine that keeps its changes and is suspended when it idles, documents on a disk of their own.',
    spec: {
      general: { display: 'seamless', frame: { show: true, color: '#3d7ab8' } },
      machine: {
        revertible: false,
        onStop: 'save-state',
        signOn: 'user',
        timeZone: 'server-then-host',
        lock: { onHostSleep: true, idle: '20m' },
        suspendIdle: '1h',
        dataDisk: { size: '40GiB' },
      },
      performance: {
        memory: [{ guest: '1GiB' }, { host: '8GiB', guest: '2GiB' }, { host: '16GiB', guest: '6GiB' }],
        processors: [{ guest: 1 }, { host: 4, guest: 2 }],
      },
    },
  },
  {
    id: 'kiosk',
    name: 'Shared computer',
    says: 'The desktop of the guest in one window, fresh at every start.',
    spec: { general: { display: 'desktop' }, machine: { revertible: true, onStop: 'shut-down' } },
  },
];

/** A document that begins with a template. */
export function begun(template: Template, name: string, description: string, image: string): Json {
  const { machine } = template.spec;
  return {
    apiVersion: 'dormer/v1',
    kind: 'Workspace',
    metadata: { name, ...(description === '' ? {} : { description }) },
    spec: { ...template.spec, machine: { image: { name: image }, ...(isObject(machine) ? machine : {}) } },
  };
}
