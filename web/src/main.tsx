import '@patternfly/react-core/dist/styles/base.css';
import './app/console.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { fixBase } from './app/base';

fixBase();

// What follows looks at the base when it is loaded.
const { App } = await import('./app/App');
const root = document.getElementById('root');
if (!root) throw new Error('index.html has no element "root"');
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
