import type { Module } from '../../app/modules';

export const settings: Module = {
  path: 'settings',
  name: 'Settings',
  routes: [
    { index: true, lazy: async () => ({ Component: (await import('./Settings')).Settings }) },
    { path: ':section', lazy: async () => ({ Component: (await import('./Settings')).Settings }) },
  ],
};
