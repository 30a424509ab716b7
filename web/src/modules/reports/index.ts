import type { Module } from '../../app/modules';

export const reports: Module = {
  path: 'reports',
  name: 'Reports',
  routes: [{ index: true, lazy: async () => ({ Component: (await import('./Reports')).Reports }) }],
};
