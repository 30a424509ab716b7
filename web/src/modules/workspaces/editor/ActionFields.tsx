import { HelperText, HelperTextItem } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { api, data } from '../../../api/client';
import { asText, isObject } from '../../../document/json';
import { valueAt } from '../../../document/paths';
import { Field } from '../../../form/Field';
import { FaultTexts } from '../../../form/FaultTexts';
import { messagesAt, useForm, useShown } from '../../../form/form';
import { schemaAt } from '../../../form/schema';
import { Fields, When } from '../../../form/Section';
import { kindOfAction } from './actions';

/** The fields of one action: those of every action, and those of its kind. */
export function ActionFields({ at }: { at: string }) {
  const { document } = useForm();
  const action = valueAt(document, at);
  const kind = kindOfAction(isObject(action) ? action : {});
  const member = kind === undefined ? '' : `${at}.${kind.member}`;
  return (
    <>
      {member.endsWith('.joinDomain') && <JoinFields at={member} />}
      {member.endsWith('.runCommand') && <CommandFields at={member} />}
      {member.endsWith('.checkConnectivity') && <ConnectivityFields at={member} />}
      {/\.(renameComputer|restart|disableAutomaticSignOn)$/u.test(member) && <NoFields at={member} />}
      <Fields>
        <Field path={`${at}.name`} label="Name of the step" />
        <Field path={`${at}.once`} label="Once for" compact />
      </Fields>
    </>
  );
}

/** An action that needs to know nothing. */
function NoFields({ at }: { at: string }) {
  const { schema, errors, warnings } = useForm();
  useShown([at]);
  return (
    <HelperText>
      <HelperTextItem>{schemaAt(schema, at)?.description}</HelperTextItem>
      <FaultTexts errors={messagesAt(errors, at)} warnings={messagesAt(warnings, at)} />
    </HelperText>
  );
}

function JoinFields({ at }: { at: string }) {
  const { document } = useForm();
  const secrets = useQuery({ queryKey: ['secret'], queryFn: () => data(api.GET('/secrets')) });
  const ofUser = valueAt(document, `${at}.userDomain`) === true;
  const given = asText(valueAt(document, `${at}.credentials`)) === 'given';
  return (
    <>
      <Field path={`${at}.userDomain`} label="The domain that the user signed in with" />
      <When is={!ofUser} paths={[`${at}.domain`, `${at}.netbiosName`]} otherwise="The user's sign-in names the domain.">
        <Fields>
          <Field path={`${at}.domain`} example="corp.example.test" />
          <Field path={`${at}.netbiosName`} label="NetBIOS name" example="CORP" />
        </Fields>
      </When>
      <Field
        path={`${at}.organizationalUnit`}
        label="Organizational unit"
        mono
        example="OU=Guests,DC=corp,DC=example,DC=test"
      />
      <Field path={`${at}.credentials`} label="Credentials" />
      <When
        is={given}
        paths={[`${at}.account`, `${at}.passwordSecret`]}
        otherwise="Account and password are named for given credentials only."
      >
        <Fields>
          <Field path={`${at}.account`} />
          <Field
            path={`${at}.passwordSecret`}
            label="Secret with the password"
            options={secrets.data?.items.map((s) => ({ value: s.name, name: s.name }))}
          />
        </Fields>
      </When>
    </>
  );
}

function CommandFields({ at }: { at: string }) {
  const { document } = useForm();
  const waits = valueAt(document, `${at}.wait`) !== false;
  return (
    <>
      <Field path={`${at}.path`} label="Program" mono example="C:\setup\install.exe" />
      <Field path={`${at}.arguments`} label="Arguments" mono />
      <Field path={`${at}.password`} label="The user's password" compact />
      <Fields>
        <Field path={`${at}.wait`} label="Wait for its end" />
        <Field path={`${at}.allowInteraction`} label="It may show windows" />
        <Field path={`${at}.causesRestart`} label="It restarts the guest" />
        <Field path={`${at}.onlyOnce`} label="Never again" />
      </Fields>
      <When
        is={waits}
        paths={[`${at}.failOnError`, `${at}.successStatus`]}
        otherwise="Nobody waits for its end: how it ends is not known."
      >
        <Fields>
          <Field path={`${at}.failOnError`} label="Its failure fails the step" />
          <Field path={`${at}.successStatus`} label="Status that means success" />
        </Fields>
      </When>
      <Fields>
        <Field path={`${at}.progress`} label="Message while it runs" />
        <Field path={`${at}.failure`} label="Message when it failed" />
      </Fields>
    </>
  );
}

function ConnectivityFields({ at }: { at: string }) {
  return (
    <Fields>
      <Field path={`${at}.address`} example="dc.corp.example.test" />
      <Field path={`${at}.port`} label="TCP port" />
      <Field path={`${at}.timeout`} label="Try for" />
    </Fields>
  );
}
