import type { Module } from '../../app/modules';

export const clients: Module = {
  path: 'clients',
  name: 'Clients',
  routes: [
    { index: true, lazy: async () => ({ Component: (await import('./Clients')).Clients }) },
    { path: 'deletions', lazy: async () => ({ Component: (await import('./Deletions')).Deletions }) },
    { path: 'orders', lazy: async () => ({ Component: (await import('./Orders')).OrdersPage }) },
    { path: ':id', lazy: async () => ({ Component: (await import('./ClientPage')).ClientPage }) },
  ],
};
