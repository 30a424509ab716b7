import type { Module } from '../../app/modules';

export const audit: Module = {
  path: 'audit',
  name: 'Audit',
  routes: [{ index: true, lazy: async () => ({ Component: (await import('./Audit')).Audit }) }],
};
