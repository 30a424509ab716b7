import { expect, test } from 'vitest';
import { waiters } from './waiters';

test('what waits goes on once somebody is there again', async () => {
  const w = waiters();
  const first = w.wait();
  const second = w.wait();
  w.go();
  await expect(Promise.all([first, second])).resolves.toHaveLength(2);
  const later = w.wait();
  w.stop();
  await expect(later).rejects.toThrow('This was not done');
});
