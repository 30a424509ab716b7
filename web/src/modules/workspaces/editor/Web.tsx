import { FormGroup, FormHelperText, HelperText, HelperTextItem, Radio, TextInput } from '@patternfly/react-core';
import { useId, useState } from 'react';
import { asText, type JsonObject } from '../../../document/json';
import { valueAt } from '../../../document/paths';
import { FaultsOf } from '../../../form/FaultsOf';
import { Field } from '../../../form/Field';
import { useForm } from '../../../form/form';
import { Items } from '../../../form/Items';
import { words } from '../../../document/reading';
import { Fields, Section } from '../../../form/Section';
import { decide, readWeb } from './addresses';
import type { Draft } from './draft';
import { TabForm } from './TabForm';

/** What this tab is for. */
export const webPaths = ['spec.web'];

const ruleName = (rule: JsonObject): string => {
  if (rule['localNames'] === true) return 'All local names';
  return asText(rule['domain']) || asText(rule['prefix']);
};

/** The tab Web: which addresses are opened in the guest, and which in the host. */
export function Web({ ws }: { ws: Draft }) {
  return (
    <TabForm ws={ws} prefixes={webPaths}>
      <Section title="Rules" says="The first rule that fits an address decides where it is opened.">
        <Items
          path="spec.web.rules"
          label="Rules"
          one="rule"
          name={ruleName}
          ordered
          fresh={() => ({ domain: '', open: 'guest' })}
          empty="There is no rule: all addresses are opened as said below."
          columns={[
            { name: 'Addresses', cell: ruleName },
            { name: 'Kind', cell: (r) => kinds.find((k) => k.member in r)?.name ?? '' },
            { name: 'Opened in the', cell: (r) => words(asText(r['open'])) },
          ]}
          fields={(at) => <RuleFields at={at} />}
        />
        <Fields>
          <Field path="spec.web.others" label="All other addresses" />
          <Field path="spec.web.anyBrowser" label="Any browser of the host" />
        </Fields>
      </Section>
      <Section title="Try an address">
        <Trial ws={ws} />
      </Section>
    </TabForm>
  );
}

const kinds = [
  { member: 'domain', name: 'A domain', first: '' },
  { member: 'prefix', name: 'IP addresses', first: '' },
  { member: 'localNames', name: 'All local names', first: true },
] as const;

/** The fields of one rule: what it fits by is one of three. */
function RuleFields({ at }: { at: string }) {
  const { document, edit, readOnly } = useForm();
  const id = useId();
  const rule = valueAt(document, at);
  const has = (member: string) => valueAt(rule ?? null, member) !== undefined;
  const choose = (to: (typeof kinds)[number]) =>
    edit(at, (was) => ({ [to.member]: to.first, open: valueAt(was ?? null, 'open') ?? 'guest' }));
  return (
    <>
      <FormGroup label="The rule fits" role="radiogroup" fieldId={id}>
        {kinds.map((k) => (
          <Radio
            key={k.member}
            id={`${id}-${k.member}`}
            name={id}
            label={k.name}
            isChecked={has(k.member)}
            isDisabled={readOnly !== undefined}
            onChange={() => choose(k)}
          />
        ))}
      </FormGroup>
      <FaultsOf path={at} label="The rule" />
      {has('domain') && <Field path={`${at}.domain`} isRequired example="corp.example.test" />}
      {has('prefix') && <Field path={`${at}.prefix`} isRequired label="IP prefix" mono example="10.0.0.0/8" />}
      {has('localNames') && <Field path={`${at}.localNames`} label="All local names" />}
      <Field path={`${at}.open`} label="Opened in the" compact />
    </>
  );
}

/** Says where an address would be opened, and which rule decides that. */
function Trial({ ws }: { ws: Draft }) {
  const [address, setAddress] = useState('');
  const id = useId();
  const decision = decide(readWeb(valueAt(ws.document, 'spec.web')), address);
  return (
    <FormGroup label="Address" fieldId={id}>
      <TextInput
        id={id}
        value={address}
        onChange={(_, v) => setAddress(v)}
        placeholder="https://wiki.corp.example.test/page"
        autoComplete="off"
        aria-describedby={`${id}-says`}
      />
      <FormHelperText>
        <HelperText id={`${id}-says`} isLiveRegion>
          <HelperTextItem>
            {decision === undefined
              ? 'Write an address to see where it would be opened, with the rules as they stand on the screen.'
              : decision.rule === undefined
                ? `Opened ${decision.open === 'where-asked' ? 'where it was asked for' : `in the ${decision.open}`}: no rule fits it.`
                : `Opened in the ${decision.open}: rule ${decision.rule + 1} decides.`}
          </HelperTextItem>
        </HelperText>
      </FormHelperText>
    </FormGroup>
  );
}
