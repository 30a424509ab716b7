import type { Module } from '../../app/modules';
import { AlertCount } from './AlertCount';

export const alerts: Module = {
  path: 'alerts',
  name: 'Alerts',
  Mark: AlertCount,
  routes: [
    { path: 'new-rule', lazy: async () => ({ Component: (await import('./RulePage')).NewRule }) },
    { path: 'rules/:name', lazy: async () => ({ Component: (await import('./RulePage')).RulePage }) },
    { path: ':section?', lazy: async () => ({ Component: (await import('./Alerts')).Alerts }) },
  ],
};
