import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from 'react-router/dom';
import { Messages } from '../components/MessageList';
import { NoticesProvider } from '../notices/NoticesProvider';
import { SessionProvider } from '../session/SessionProvider';
import { queries } from './queries';
import { router } from './router';
import { ZoneProvider } from './zone';

/** The console: what everything in it needs, around its pages. */
export function App() {
  return (
    <QueryClientProvider client={queries}>
      <ZoneProvider>
        <Messages>
          <SessionProvider>
            <NoticesProvider>
              <RouterProvider router={router} />
            </NoticesProvider>
          </SessionProvider>
        </Messages>
      </ZoneProvider>
    </QueryClientProvider>
  );
}
