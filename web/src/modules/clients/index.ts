import type { Module } from '../../app/modules';

export const clients: Module = {
  path: 'clients',
  name: 'Clients',
  routes: [{ index: true, lazy: async () => ({ Component: (await import('./Clients')).Clients }) }],
};
