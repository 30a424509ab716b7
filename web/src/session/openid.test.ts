import { expect, test } from 'vitest';
import { answerOf, challengeOf, Refusal } from './openid';

const begun = {
  provider: 'corp',
  redirect_uri: 'https://dormer.corp.example.test/console/signed-in',
  state: 's',
  nonce: 'n',
  verifier: 'v',
  wanted: '/console/images?search=a',
  closes: false,
};
const kept = JSON.stringify(begun);

test('the challenge is the one of RFC 7636, appendix B', async () => {
  expect(await challengeOf('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk')).toBe(
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
  );
});

test('an answer belongs to the tab that asked', () => {
  expect(answerOf('?code=c&state=s', kept)).toEqual({ begun, code: 'c' });
  expect(() => answerOf('?code=c&state=other', kept)).toThrow(Refusal);
  expect(() => answerOf('?code=c', kept)).toThrow(Refusal);
  expect(() => answerOf('?code=c&state=s', null)).toThrow(Refusal);
});

test('a refusal says why', () => {
  expect(() => answerOf('?state=s&error=access_denied&error_description=not+yours', kept)).toThrow('not yours');
  expect(() => answerOf('?state=s&error=access_denied', kept)).toThrow('access_denied');
});
