import { expect, test } from 'vitest';
import { beyond } from './problem';

test.each([
  ['Too large', 'at most 10 bytes are taken here', 'at most 10 bytes are taken here'],
  ['Permission denied', 'permission denied', ''],
  ['Permission denied', 'Permission denied.', ''],
  ['The server does not answer', 'The server does not answer. Look at the network.', 'Look at the network.'],
  ['It exists', 'It exists: name it otherwise', 'name it otherwise'],
  ['Not', 'Nothing fits', 'Nothing fits'],
  ['Sign in first', undefined, ''],
])('of %j and %j is shown %j', (title, detail, shown) => {
  expect(beyond(title, detail)).toBe(shown);
});
