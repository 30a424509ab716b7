import type { Module } from '../../app/modules';

export const alerts: Module = {
  path: 'alerts',
  name: 'Alerts',
  routes: [{ index: true, lazy: async () => ({ Component: (await import('./Alerts')).Alerts }) }],
};
