import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/react';
import { useState } from 'react';
import { afterEach, expect, test } from 'vitest';
import { Problem } from '../api/problem';
import { Confirm } from './Confirm';
import { FormDialog } from './FormDialog';
import { TextField } from './inputs';

afterEach(cleanup);

const send = () => fireEvent.click(screen.getByRole('button', { name: 'Name' }));
const enter = (value: string) => fireEvent.change(screen.getByLabelText('Name'), { target: { value } });

/** A dialog whose server takes one name. */
function Naming({ taken }: { taken: string[] }) {
  const [name, setName] = useState('');
  const [key, setKey] = useState('');
  const [open, setOpen] = useState(true);
  const act = () => {
    if (name === 'office') return Promise.resolve(taken.push(name));
    const fields = name === '' ? [] : [{ path: 'key', message: 'is none' }];
    return Promise.reject(new Problem({ title: 'The input is wrong', detail: 'it is', status: 400, fields }));
  };
  if (!open) return <p>closed</p>;
  return (
    <FormDialog title="Name it" verb="Name" act={act} onClose={() => setOpen(false)}>
      <TextField label="Name" path="name" value={name} onChange={setName} />
      <TextField label="Key" path="key" value={key} onChange={setKey} />
    </FormDialog>
  );
}

test('a form stays open with what is wrong, where the focus goes, and closes when it is done', async () => {
  const taken: string[] = [];
  render(<Naming taken={taken} />);

  send();
  await screen.findByText('it is');
  await waitFor(() => expect(document.activeElement?.textContent).toContain('The input is wrong'));

  enter('finance');
  send();
  await screen.findByText('is none');
  await waitFor(() => expect(document.activeElement).toBe(screen.getByLabelText('Key')));
  expect(screen.queryByText('it is')).toBeNull();

  enter('office');
  send();
  await screen.findByText('closed');
  expect(taken).toEqual(['office']);
});

test('what is gone for good needs its name', async () => {
  const gone: string[] = [];
  render(
    <Confirm
      title="Delete it?"
      verb="Delete"
      name="office"
      act={() => Promise.resolve(gone.push('office'))}
      onClose={() => gone.push('closed')}
    >
      Nobody has it then.
    </Confirm>,
  );
  const button = screen.getByRole<HTMLButtonElement>('button', { name: 'Delete' });
  const typed = screen.getByLabelText('Type office to confirm');
  expect(screen.getByRole('dialog').getAttribute('aria-describedby')).toBe(screen.getByText('Nobody has it then.').id);
  fireEvent.change(typed, { target: { value: 'Office' } });
  fireEvent.submit(typed);
  expect(button.disabled).toBe(true);
  expect(gone).toEqual([]);
  fireEvent.change(typed, { target: { value: 'office' } });
  expect(button.disabled).toBe(false);
  fireEvent.click(button);
  await waitFor(() => expect(gone).toEqual(['office', 'closed']));
});
