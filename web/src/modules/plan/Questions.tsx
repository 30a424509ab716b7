import { Content, Form, FormGroup, FormHelperText, HelperText, HelperTextItem, TextArea } from '@patternfly/react-core';
import { plural } from '../../components/format';
import { answerTo, inOrder, withAnswer } from './answers';
import type { PartProps } from './Results';

/** What the business must say before the plan can be built; answers stand in the plan's file. */
export function Questions({ plan, entered, onChange, readOnly }: PartProps) {
  const all = inOrder(plan.questions ?? []);
  if (all.length === 0) return <Content component="p">The plan asks nothing of the business.</Content>;
  const open = all.filter((q) => answerTo(entered, q) === '').length;
  return (
    <Form onSubmit={(e) => e.preventDefault()}>
      {readOnly !== undefined && <Content component="p">{readOnly}</Content>}
      <Content component="p">
        {open === 0
          ? 'All are answered. The answers are kept in the plan and stand in the design document.'
          : `${plural(open, 'question is', 'questions are')} open. Answers are kept in the plan and stand in the design document.`}
      </Content>
      {all.map((q, i) => (
        <FormGroup
          key={`${q.about} ${q.subject} ${q.question ?? ''}`}
          fieldId={`question-${i}`}
          label={<span className="dormer-name">{q.question ?? `${q.about}: ${q.subject}`}</span>}
        >
          <TextArea
            id={`question-${i}`}
            value={answerTo(entered, q)}
            onChange={(_, answer) => onChange((now) => withAnswer(now, q, answer))}
            readOnly={readOnly !== undefined}
            rows={2}
            resizeOrientation="vertical"
            aria-describedby={`question-${i}-by`}
          />
          <FormHelperText>
            <HelperText id={`question-${i}-by`}>
              <HelperTextItem>
                {q.by === undefined ? 'Not said who answers.' : `To be answered by: ${q.by}.`}
              </HelperTextItem>
            </HelperText>
          </FormHelperText>
        </FormGroup>
      ))}
    </Form>
  );
}
