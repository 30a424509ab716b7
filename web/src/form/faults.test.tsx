import { cleanup, render, screen } from '@testing-library/react';
import { afterEach, expect, test } from 'vitest';
import type { FieldError } from '../api/problem';
import { AsOperator } from '../session/AsOperator';
import { DocumentForm } from './DocumentForm';
import { Field } from './Field';
import { Items } from './Items';
import { OtherFaults } from './OtherFaults';
import type { Schema } from './schema';

const schema: Schema = {
  type: 'object',
  properties: {
    texts: { type: 'array', items: { type: 'string' } },
    things: { type: 'array', items: { type: 'object', properties: { name: { type: 'string' } } } },
  },
};

interface Given {
  errors?: FieldError[];
  warnings?: FieldError[];
  readOnly?: string;
}

const drawn = (given: Given) =>
  render(
    <DocumentForm
      schema={schema}
      document={{ texts: ['one', 'two'], things: [{ name: 'a' }, { name: 'b' }] }}
      onChange={() => undefined}
      {...given}
    >
      <OtherFaults below={['']} />
      <Field path="texts" />
      <Items
        path="things"
        label="Things"
        one="thing"
        name={(item) => String(item['name'])}
        columns={[{ name: 'Name', cell: (item) => String(item['name']) }]}
        fields={() => null}
        empty="None"
        ordered
      />
    </DocumentForm>,
    { wrapper: AsOperator },
  );

afterEach(cleanup);

/** The text that describes an input for screen readers. */
const description = (label: string): string => {
  const below = screen.getByLabelText(label).getAttribute('aria-describedby');
  return document.querySelector(`#${CSS.escape(below ?? '')}`)?.textContent ?? '';
};

test('an error and a warning of a text of a list stand at it, and describe its input', () => {
  drawn({
    errors: [{ path: 'texts[0]', message: 'must not be one' }],
    warnings: [{ path: 'texts[1]', message: 'is odd' }],
  });
  expect(description('Texts 1')).toContain('Texts 1 must not be one');
  expect(description('Texts 2')).toContain('Texts 2 is odd');
  expect(screen.queryByText(/Something else here/u)).toBeNull();
});

test('an error and a warning of a list of things stand above it', () => {
  drawn({
    errors: [{ path: 'things', message: 'must be fewer' }],
    warnings: [{ path: 'things', message: 'are many' }],
  });
  expect(screen.getByText('Things must be fewer')).toBeTruthy();
  expect(screen.getByText('Things are many')).toBeTruthy();
});

test('what may not be done is there, and does nothing', () => {
  drawn({ readOnly: 'Not now.' });
  const names = ['Move Texts 2 up', 'Remove Texts 1', 'Move b up', 'Drag a', 'Remove a'];
  for (const name of names) expect(screen.getByLabelText(name).getAttribute('aria-disabled')).toBe('true');
  for (const text of ['Add to texts', 'Add thing']) {
    expect(screen.getByText(text).closest('button')?.getAttribute('aria-disabled')).toBe('true');
  }
});
