import type { Module } from '../../app/modules';

export const overview: Module = {
  path: '',
  name: 'Overview',
  routes: [{ index: true, lazy: async () => ({ Component: (await import('./Overview')).Overview }) }],
};
