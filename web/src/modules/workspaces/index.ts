import type { Module } from '../../app/modules';

export const workspaces: Module = {
  path: 'workspaces',
  name: 'Workspaces',
  routes: [{ index: true, lazy: async () => ({ Component: (await import('./Workspaces')).Workspaces }) }],
};
