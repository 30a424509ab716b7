import { Content } from '@patternfly/react-core';
import { nameOf } from './identity';
import { isObject, type Json } from './json';
import { plain, words } from './reading';

/** A value of a document as people read it: yes and no, lists, and members by name. */
export function Value({ value }: { value: Json | undefined }) {
  const text = plain(value);
  if (text !== undefined) {
    if (typeof value === 'string' && value !== '') {
      return (
        <span className="dormer-name" style={{ whiteSpace: 'pre-wrap' }}>
          {value}
        </span>
      );
    }
    return Array.isArray(value) ? <span className="dormer-name">{text}</span> : <em>{text}</em>;
  }
  const parts = Array.isArray(value)
    ? value.map((part, i) => ({ key: i, name: nameOf(part) ?? `no. ${i + 1}`, part }))
    : Object.entries(isObject(value) ? value : {}).map(([key, part]) => ({ key, name: words(key), part }));
  return (
    <Content component="ul" isPlainList>
      {parts.map(({ key, name, part }) => (
        <li key={key}>
          <span className="dormer-name">{name}</span>: <Value value={part} />
        </li>
      ))}
    </Content>
  );
}
