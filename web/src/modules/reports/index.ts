import { redirect } from 'react-router';
import type { Module } from '../../app/modules';

export const reports: Module = {
  path: 'reports',
  name: 'Reports',
  routes: [
    { index: true, loader: () => redirect('/reports/status') },
    { path: ':section', lazy: async () => ({ Component: (await import('./Reports')).Reports }) },
  ],
};
