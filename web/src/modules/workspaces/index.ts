import type { Module } from '../../app/modules';

export const workspaces: Module = {
  path: 'workspaces',
  name: 'Workspaces',
  routes: [
    { index: true, lazy: async () => ({ Component: (await import('./Workspaces')).Workspaces }) },
    { path: 'new', lazy: async () => ({ Component: (await import('./NewWorkspace')).NewWorkspace }) },
    { path: ':id', lazy: async () => ({ Component: (await import('./WorkspacePage')).WorkspacePage }) },
  ],
};
