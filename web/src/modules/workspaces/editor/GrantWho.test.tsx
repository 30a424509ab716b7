import { cleanup, fireEvent, render, screen } from '@testing-library/react';
import { afterEach, expect, test } from 'vitest';
import type { FieldError } from '../../../api/problem';
import { DocumentForm } from '../../../form/DocumentForm';
import type { Schema } from '../../../form/schema';
import { AsOperator } from '../../../session/AsOperator';
import { GrantWho } from './GrantWho';

const text: Schema = { type: 'string' };
const schema: Schema = {
  type: 'object',
  properties: {
    grants: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          principal: { type: 'object', properties: { name: text, kind: text, directory: text, key: text } },
        },
      },
    },
  },
};

const grant = (name: string, errors: FieldError[]) => (
  <DocumentForm
    schema={schema}
    document={{ grants: [{ principal: { name } }] }}
    onChange={() => undefined}
    errors={errors}
  >
    <GrantWho at="grants[0]" />
  </DocumentForm>
);

const unknown = [{ path: 'grants[0].principal.name', message: 'is nobody' }];
const name = () => screen.queryByRole('textbox', { name: 'Name' });
const toggle = () => fireEvent.click(screen.getByRole('button', { name: /^Grant it to somebody else/u }));

afterEach(cleanup);

test('who has a grant is opened by what is wrong with it, and stays open when that is mended', () => {
  const { rerender } = render(grant('alice', []), { wrapper: AsOperator });
  expect(name()).toBeNull();
  rerender(grant('alic', unknown));
  name()?.focus();
  rerender(grant('alice', []));
  expect(document.activeElement).toBe(name());
  expect(name()).toBeTruthy();
});

test('who has a grant can be closed and opened whatever is wrong with it', () => {
  const { rerender } = render(grant('alic', unknown), { wrapper: AsOperator });
  expect(name()).toBeTruthy();
  toggle();
  expect(name()).toBeNull();
  toggle();
  expect(name()).toBeTruthy();
  toggle();
  rerender(grant('alice', []));
  rerender(grant('bo', unknown));
  expect(name()).toBeTruthy();
});
