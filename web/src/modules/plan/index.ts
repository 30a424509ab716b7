import type { Module } from '../../app/modules';

export const plan: Module = {
  path: 'plan',
  name: 'Plan',
  routes: [{ index: true, lazy: async () => ({ Component: (await import('./Plan')).Plan }) }],
};
