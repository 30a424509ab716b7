import { cleanup, fireEvent, render, screen } from '@testing-library/react';
import { useState } from 'react';
import { afterEach, describe, expect, test } from 'vitest';
import type { FieldError } from '../api/problem';
import { Messages } from '../components/MessageList';
import { asList, asText, type Json } from '../document/json';
import { valueAt } from '../document/paths';
import { AsOperator } from '../session/AsOperator';
import { DocumentForm } from './DocumentForm';
import { Field } from './Field';
import { Items } from './Items';
import type { Schema } from './schema';
import { isWithheld, withLeft } from './withheld';

const schema: Schema = {
  type: 'object',
  properties: {
    words: { type: 'array', items: { type: 'string' } },
    things: {
      type: 'array',
      items: {
        type: 'object',
        required: ['name', 'place'],
        properties: { name: { type: 'string' }, place: { type: 'string' } },
      },
    },
  },
};

/** What a server says: everything must be given. */
function faults(document: Json): FieldError[] {
  const paths = [
    ...asList(valueAt(document, 'words')).map((_, i) => `words[${i}]`),
    ...asList(valueAt(document, 'things')).map((_, i) => `things[${i}].name`),
    ...asList(valueAt(document, 'things')).map((_, i) => `things[${i}].place`),
  ];
  return paths
    .filter((path) => asText(valueAt(document, path)) === '')
    .map((path) => ({ path, message: 'must be given' }));
}

function Page({ begin }: { begin: Json }) {
  const [document, setDocument] = useState(begin);
  return (
    <Messages>
      <DocumentForm schema={schema} document={document} onChange={setDocument} errors={faults(document)}>
        <Field path="words" />
        <Items
          path="things"
          label="Things"
          one="thing"
          name={(item) => asText(item['name'])}
          columns={[{ name: 'Name', cell: (item) => asText(item['name']) }]}
          fields={(at) => (
            <>
              <Field path={`${at}.name`} />
              <Field path={`${at}.place`} />
            </>
          )}
          empty="None"
        />
      </DocumentForm>
    </Messages>
  );
}

const invalid = () => [...document.querySelectorAll('[aria-invalid="true"]')].map((e) => e.id);
const leave = (input: HTMLElement) => {
  fireEvent.blur(input);
  fireEvent.keyUp(window, { key: 'Tab' });
};

describe('what was just added', () => {
  afterEach(cleanup);

  test('is not blamed before its fields were left, and wholly when it is done', () => {
    render(<Page begin={{}} />, { wrapper: AsOperator });
    fireEvent.click(screen.getByText('Add thing'));
    expect(screen.getByRole('dialog')).toBeTruthy();
    expect(invalid()).toEqual([]);
    expect(screen.queryByText(/must be given/u)).toBeNull();
    leave(screen.getByRole('textbox', { name: 'Name' }));
    expect(invalid()).toEqual(['field:things[0].name']);
    fireEvent.click(screen.getByRole('button', { name: 'Done' }));
    expect(screen.getByText('Name must be given')).toBeTruthy();
    expect(screen.getByText('Place must be given')).toBeTruthy();
    // What was there before is blamed at once.
    fireEvent.click(screen.getByText('Not given yet'));
    expect(invalid()).toEqual(['field:things[0].name', 'field:things[0].place']);
  });

  test('may be a text of a list', () => {
    render(<Page begin={{ words: ['', 'a'] }} />, { wrapper: AsOperator });
    expect(invalid()).toEqual(['field:words[0]']);
    fireEvent.click(screen.getByText('Add to words'));
    expect(invalid()).toEqual(['field:words[0]']);
    const added = screen.getByLabelText('Words 3');
    fireEvent.pointerDown(window);
    fireEvent.blur(added);
    fireEvent.focusIn(document.body);
    // The pointer is down still.
    expect(invalid()).toEqual(['field:words[0]']);
    fireEvent.pointerUp(window);
    expect(invalid()).toEqual(['field:words[0]', 'field:words[2]']);
  });

  test.each([
    ['spoken commands and screen readers', [fireEvent.blur, fireEvent.focusIn]],
    ['a command that moves no focus', [fireEvent.blur, fireEvent.click]],
    ['a touch that becomes another gesture', [fireEvent.pointerDown, fireEvent.blur, fireEvent.pointerCancel]],
  ])('is left by %s', (_, does) => {
    render(<Page begin={{ words: [''] }} />, { wrapper: AsOperator });
    fireEvent.click(screen.getByText('Add to words'));
    const added = screen.getByLabelText('Words 2');
    for (const doing of does) {
      expect(invalid()).toEqual(['field:words[0]']);
      doing(doing === fireEvent.blur ? added : document.body);
    }
    expect(invalid()).toEqual(['field:words[0]', 'field:words[1]']);
  });

  test('is left by a touch when its mouse events are over', () => {
    render(<Page begin={{ words: [''] }} />, { wrapper: AsOperator });
    fireEvent.click(screen.getByText('Add to words'));
    const button = screen.getByText('Add to words');
    for (const does of [fireEvent.pointerDown, fireEvent.pointerUp, fireEvent.mouseDown]) does(button);
    fireEvent.blur(screen.getByLabelText('Words 2'));
    fireEvent.focusIn(button);
    expect(invalid()).toEqual(['field:words[0]']);
    fireEvent.mouseUp(button);
    expect(invalid()).toEqual(['field:words[0]', 'field:words[1]']);
  });

  test('is not left by who comes back to it', () => {
    render(<Page begin={{ words: [''] }} />, { wrapper: AsOperator });
    fireEvent.click(screen.getByText('Add to words'));
    const added = screen.getByLabelText('Words 2');
    fireEvent.blur(added);
    fireEvent.focusIn(added);
    fireEvent.keyUp(added, { key: 'a' });
    expect(invalid()).toEqual(['field:words[0]']);
    leave(added);
    expect(invalid()).toEqual(['field:words[0]', 'field:words[1]']);
  });
});

const withDomain = (domain: string): Json => ({ rules: [{}, { domain, open: 'guest' }] });

test('what is wrong with several fields is said when one was left, or none is empty', () => {
  const fresh = [{ path: 'rules[1]', left: [] }];
  const empty = withDomain('');
  expect(isWithheld(fresh, 'rules[1]', empty)).toBe(true);
  expect(isWithheld(fresh, 'rules[0]', empty)).toBe(false);
  expect(isWithheld(fresh, 'rules[10]', empty)).toBe(false);
  expect(isWithheld(fresh, 'rules[1]', withDomain('a'))).toBe(false);
  const left = withLeft(fresh, 'rules[1].domain');
  expect(isWithheld(left, 'rules[1]', empty)).toBe(false);
  expect(isWithheld(left, 'rules[1].open', empty)).toBe(true);
});
