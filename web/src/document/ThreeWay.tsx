import {
  ActionList,
  ActionListItem,
  Alert,
  Button,
  Card,
  CardBody,
  CardTitle,
  Content,
  ExpandableSection,
  Flex,
  FlexItem,
  Gallery,
  Radio,
  Stack,
  StackItem,
  Title,
} from '@patternfly/react-core';
import { useId, useMemo, useState } from 'react';
import { plural, Time } from '../components/format';
import { changes } from './difference';
import { Differences } from './Differences';
import { FieldLabel } from './FieldLabel';
import { canonical } from './identity';
import type { Json } from './json';
import { merge, type Conflict, type Side } from './merge';
import { Value } from './Value';

interface Props {
  /** What both began with. */
  base: Json;
  mine: Json;
  theirs: Json;
  /** Who committed theirs, and when. */
  who: string;
  when: string;
  /** Takes the one document that was made of both; it is not committed yet. */
  onResolved: (document: Json) => void;
  onCancel: () => void;
}

/** A choice holds for what was to be chosen from: a third document may come meanwhile. */
const choiceOf = (c: Conflict): string => `${c.key} ${canonical(c.mine)} ${canonical(c.theirs)}`;

/**
 * What two operators made of one document, field by field: what only one of
 * them changed is taken, and of what both changed people choose. It can be
 * completed when all is chosen.
 */
export function ThreeWay({ base, mine, theirs, who, when, onResolved, onCancel }: Props) {
  const [chosen, setChosen] = useState<ReadonlyMap<string, Side>>(new Map());
  const id = useId();
  const { conflicts } = useMemo(() => merge(base, mine, theirs), [base, mine, theirs]);
  const sides = useMemo(() => {
    const all = (side: Side) => merge(base, mine, theirs, new Map(conflicts.map((c) => [c.key, side]))).merged;
    return { mine: all('mine'), theirs: all('theirs') };
  }, [base, mine, theirs, conflicts]);

  const choose = (which: Conflict[], side: Side) =>
    setChosen((was) => new Map([...was, ...which.map((c) => [choiceOf(c), side] as const)]));
  const left = conflicts.filter((c) => !chosen.has(choiceOf(c))).length;
  const complete = () => {
    const choices = new Map(conflicts.map((c) => [c.key, chosen.get(choiceOf(c)) ?? 'mine']));
    onResolved(merge(base, mine, theirs, choices).merged);
  };

  return (
    <Stack hasGutter>
      <StackItem>
        <Alert
          isInline
          variant="warning"
          title={
            <>
              <span className="dormer-name">{who}</span> committed something else meanwhile
            </>
          }
        >
          <p>
            Committed <Time at={when} />. What only one of you changed is taken from both.{' '}
            {conflicts.length > 0 && `${plural(conflicts.length, 'field')} that both changed: choose for each.`}
          </p>
        </Alert>
      </StackItem>
      {conflicts.length > 0 && (
        <StackItem>
          <Flex justifyContent={{ default: 'justifyContentSpaceBetween' }}>
            <FlexItem>
              <Title headingLevel="h3">Changed by both</Title>
            </FlexItem>
            <FlexItem>
              <ActionList>
                <ActionListItem>
                  <Button variant="secondary" size="sm" onClick={() => choose(conflicts, 'mine')}>
                    Take mine everywhere
                  </Button>
                </ActionListItem>
                <ActionListItem>
                  <Button variant="secondary" size="sm" onClick={() => choose(conflicts, 'theirs')}>
                    Take theirs everywhere
                  </Button>
                </ActionListItem>
              </ActionList>
            </FlexItem>
          </Flex>
        </StackItem>
      )}
      {conflicts.map((c, i) => (
        <StackItem key={c.key}>
          <Choice
            conflict={c}
            id={`${id}-${i}`}
            document={c.mine === undefined ? theirs : mine}
            who={who}
            side={chosen.get(choiceOf(c))}
            onChoose={(side) => choose([c], side)}
          />
        </StackItem>
      ))}
      <StackItem>
        <Taken title="Changed only by you" before={theirs} after={sides.theirs} names={[`Of ${who}`, 'Yours']} />
      </StackItem>
      <StackItem>
        <Taken title={`Changed only by ${who}`} before={mine} after={sides.mine} names={['Yours', `Of ${who}`]} />
      </StackItem>
      <StackItem>
        <Content component="p" aria-live="polite">
          {left === 0 ? 'Nothing is left to choose.' : `${plural(left, 'field')} left to choose.`}
        </Content>
        <ActionList>
          <ActionListItem>
            <Button variant="primary" isAriaDisabled={left > 0} onClick={() => left === 0 && complete()}>
              Continue with both
            </Button>
          </ActionListItem>
          <ActionListItem>
            <Button variant="link" onClick={onCancel}>
              Back to the editor
            </Button>
          </ActionListItem>
        </ActionList>
      </StackItem>
    </Stack>
  );
}

interface ChoiceProps {
  conflict: Conflict;
  id: string;
  document: Json;
  who: string;
  side: Side | undefined;
  onChoose: (side: Side) => void;
}

/** One field that both changed: what it was, and what each made of it. */
function Choice({ conflict, id, document, who, side, onChoose }: ChoiceProps) {
  const removed = (v: Json | undefined) => v === undefined && conflict.base !== undefined;
  const option = (which: Side, title: string, v: Json | undefined) => (
    <Card isCompact variant={side === which ? 'default' : 'secondary'}>
      <CardBody>
        <Radio
          id={`${id}-${which}`}
          name={id}
          label={title}
          isChecked={side === which}
          onChange={() => onChoose(which)}
          body={removed(v) ? <em>taken away</em> : <Value value={v} />}
        />
      </CardBody>
    </Card>
  );
  return (
    <Card isCompact role="radiogroup" aria-labelledby={`${id}-title`}>
      <CardTitle id={`${id}-title`}>
        <FieldLabel path={conflict.path} document={document} />
        {conflict.order && ', the order'}
        {conflict.items && ', and what follows'}
      </CardTitle>
      <CardBody>
        <Gallery hasGutter minWidths={{ default: '14rem' }}>
          <Card isCompact isPlain>
            <CardBody>
              <Content component="small">Before</Content>
              <Value value={conflict.base} />
            </CardBody>
          </Card>
          {option('mine', 'Mine', conflict.mine)}
          {option('theirs', `Theirs (${who})`, conflict.theirs)}
        </Gallery>
      </CardBody>
    </Card>
  );
}

/** What only one changed, and is taken: to look at. */
function Taken({ title, ...documents }: { title: string; before: Json; after: Json; names: [string, string] }) {
  const found = useMemo(() => changes(documents.before, documents.after).length, [documents.before, documents.after]);
  if (found === 0) return <Content component="p">{title}: nothing.</Content>;
  return (
    <ExpandableSection toggleText={`${title}: ${plural(found, 'field')}`} isIndented>
      <Differences {...documents} />
    </ExpandableSection>
  );
}
