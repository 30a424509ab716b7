import { Fragment } from 'react';
import type { Json } from './json';
import { crumbs } from './reading';

interface Props {
  path: string;
  /** Where items find their names. */
  document: Json;
}

/** What the field at a path is called, with what it is in. */
export function FieldLabel({ path, document }: Props) {
  const parts = crumbs(path, document);
  if (parts.length === 0) return <span title={path}>The document</span>;
  return (
    <span title={path}>
      {parts.map((part, depth) => (
        <Fragment key={parts.slice(0, depth + 1).join('/')}>
          {depth > 0 && ' › '}
          <span className="dormer-name">{part}</span>
        </Fragment>
      ))}
    </span>
  );
}
