import type { Module } from '../../app/modules';

export const images: Module = {
  path: 'images',
  name: 'Images',
  routes: [
    { index: true, lazy: async () => ({ Component: (await import('./Images')).Images }) },
    { path: ':name', lazy: async () => ({ Component: (await import('./ImagePage')).ImagePage }) },
    { path: ':name/:number', lazy: async () => ({ Component: (await import('./VersionPage')).VersionPage }) },
  ],
};
