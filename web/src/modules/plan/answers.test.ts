import { describe, expect, it } from 'vitest';
import { valueAt } from '../../document/paths';
import { answerTo, inOrder, withAnswer } from './answers';

const licence = { about: 'licence', subject: 'office', question: 'Do the licences allow it?', by: 'purchasing' };
const other = { about: 'other', subject: 'media', question: 'Who carries them?' };

describe('answers to the questions of a plan', () => {
  it('stand in the file, and are taken away again', () => {
    const answered = withAnswer({ spec: {} }, licence, 'Yes');
    expect(valueAt(answered, 'spec.questions')).toEqual([{ about: 'licence', subject: 'office', answer: 'Yes' }]);
    expect(answerTo(answered, { ...licence, subject: 'OFFICE' })).toBe('Yes');
    expect(answerTo(withAnswer(answered, licence, ''), licence)).toBe('');
  });

  it('of a topic of its own have its words', () => {
    const answered = withAnswer({ spec: {} }, other, 'The van');
    expect(valueAt(answered, 'spec.questions')).toEqual([{ ...other, answer: 'The van' }]);
    expect(answerTo(answered, { ...other, question: 'Who writes them?' })).toBe('');
  });

  it('to a pair do not mind its order', () => {
    const answered = withAnswer({ spec: {} }, { about: 'combine', subject: 'a + B' }, 'No');
    expect(answerTo(answered, { about: 'combine', subject: 'b + A' })).toBe('No');
  });

  it('do not move the questions', () => {
    expect(inOrder([{ ...other, answer: 'x' }, licence])).toEqual(inOrder([licence, { ...other, answer: 'x' }]));
  });
});
