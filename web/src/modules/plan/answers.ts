import type { Schemas } from '../../api/client';
import { asList, asText, isObject, type Json, type JsonObject } from '../../document/json';
import { valueAt, withValue } from '../../document/paths';

export type Question = Schemas['OrganizationQuestion'];

const list = 'spec.questions';

/** A subject as the plan compares it: of a pair the order does not matter. */
const folded = (subject: string): string => subject.toLowerCase().split(' + ').toSorted().join(' + ');

const isAbout = (q: Question, item: Json): item is JsonObject => {
  if (!isObject(item) || item['about'] !== q.about || folded(asText(item['subject'])) !== folded(q.subject))
    return false;
  const own = asText(item['question']);
  return q.about !== 'other' || own === '' || own === q.question;
};

const answersOf = (organization: Json): Json[] => asList(valueAt(organization, list));

/** What the organization's file answers to a question of the plan; empty: it is open. */
export const answerTo = (organization: Json, q: Question): string => {
  const found = answersOf(organization).find((item) => isAbout(q, item));
  return isObject(found) ? asText(found['answer']) : '';
};

/** The organization with an answer to a question of the plan; an empty one opens the question again. */
export function withAnswer(organization: Json, q: Question, answer: string): Json {
  const all = answersOf(organization);
  const at = all.findIndex((item) => isAbout(q, item));
  if (at >= 0) return withValue(organization, `${list}[${at}].answer`, answer === '' ? undefined : answer);
  if (answer === '') return organization;
  const { about, subject, question } = q;
  const item: JsonObject = { about, subject, answer };
  // Of a topic of its own the words count, too: the plan asks several such questions.
  if (about === 'other' && question !== undefined) item['question'] = question;
  return withValue(organization, list, [...all, item]);
}

/** Questions in an order that no answer changes, so that none moves while it is answered. */
export const inOrder = (questions: Question[]): Question[] =>
  questions.toSorted(
    (a, b) =>
      a.about.localeCompare(b.about) ||
      a.subject.localeCompare(b.subject) ||
      (a.question ?? '').localeCompare(b.question ?? ''),
  );
