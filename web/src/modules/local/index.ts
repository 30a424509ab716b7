import type { Module } from '../../app/modules';

export const local: Module = {
  path: 'local',
  name: 'This computer',
  local: true,
  routes: [
    { index: true, lazy: async () => ({ Component: (await import('./ThisComputer')).ThisComputer }) },
    { path: 'runs/:id', lazy: async () => ({ Component: (await import('./RunPage')).RunPage }) },
  ],
};
