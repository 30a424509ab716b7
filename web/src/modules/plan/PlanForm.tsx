import type { ReactNode } from 'react';
import { Field } from '../../form/Field';
import { useForm } from '../../form/form';
import { Items } from '../../form/Items';
import { words } from '../../document/reading';
import { schemaAt, type Schema } from '../../form/schema';
import { Fields, Section } from '../../form/Section';
import { asText, isObject, type Json, type JsonObject } from '../../document/json';
import { asShown, columnsOf, ordered } from './layout';

/** The fields of an object of the organization, as the schema has them: each of them, in an order that people expect. */
function Members({ path }: { path: string }) {
  const { schema } = useForm();
  const members = ordered(schemaAt(schema, path.replaceAll(/\[\d+\]/gu, '[]')) ?? {});
  const simple = members.filter(([, s]) => !isNested(s));
  const nested = members.filter(([, s]) => isNested(s));
  return (
    <>
      {simple.length > 0 && (
        <Fields>
          {simple.map(([name]) => (
            <Field key={name} path={`${path}.${name}`} compact />
          ))}
        </Fields>
      )}
      {nested.map(([name, s]) => (
        <Part key={name} path={`${path}.${name}`} schema={s} />
      ))}
    </>
  );
}

const isNested = (s: Schema): boolean => s.properties !== undefined || s.items?.properties !== undefined;

/** A list or an object of the organization below a heading. */
export function Part({ path, schema }: { path: string; schema: Schema }) {
  const name = words(path.slice(path.lastIndexOf('.') + 1));
  if (schema.items?.properties !== undefined) {
    return (
      <Section title={name} says={schema.description}>
        <Things path={path} label={name} schema={schema.items} />
      </Section>
    );
  }
  return (
    <Section title={name} says={schema.description}>
      <Members path={path} />
    </Section>
  );
}

function Things({ path, label, schema }: { path: string; label: string; schema: Schema }) {
  const columns = columnsOf(schema).map((name) => ({
    name: words(name),
    cell: (item: JsonObject): ReactNode => shown(item[name]),
  }));
  return (
    <Items
      path={path}
      label={label}
      one={oneOf(label)}
      name={nameOf}
      columns={columns}
      fields={(at) => <Members path={at} />}
      empty="There is none."
    />
  );
}

const oneOf = (label: string): string => label.toLowerCase().replace(/ies$/u, 'y').replace(/s$/u, '');

const nameOf = (item: JsonObject): string => {
  const { name, from, to, subject, site } = item;
  if (from !== undefined) return `${asText(from)} – ${asText(to)}`;
  return asText(name ?? subject ?? site) || asShown(item['users']);
};

function shown(value: Json | undefined): ReactNode {
  const text = isObject(value) ? Object.values(value).map(asShown).join(', ') : asShown(value);
  return text === '' ? '' : <span className="dormer-name">{text}</span>;
}
