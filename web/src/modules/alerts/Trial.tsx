import { Button, FormSection, Label, List, ListItem } from '@patternfly/react-core';
import { useState } from 'react';
import { Link } from 'react-router';
import { plural } from '../../components/format';
import { Loaded } from '../../components/Loaded';
import { reportLink } from '../../report/link';
import type { Query } from '../../report/query';
import { useReport } from '../../report/useReport';
import { outcomes, trial, type Rule } from './rules';

/** How many subjects are named. */
const named = 10;
/** How many groups are looked at: those that count the most. */
const looked = 1000;

/** Tries a rule over events on what happened: what it would count at this moment. */
export function Trial({ rule }: { rule: Rule }) {
  const [tried, setTried] = useState<{ rule: Rule; query: Query }>();
  if (!rule.events) {
    return (
      <FormSection title="Try it" titleElement="h2">
        <p>The server looks every 15 seconds. Save the rule: its alert is there at once if the condition holds.</p>
      </FormSection>
    );
  }
  const look = () => {
    const query = trial(rule, Date.now());
    if (query) setTried({ rule, query });
  };
  return (
    <FormSection title="Try it" titleElement="h2">
      <div>
        <Button variant="secondary" isDisabled={trial(rule, 0) === undefined} onClick={look}>
          Look what it would count now
        </Button>
      </div>
      {tried && <Result rule={tried.rule} query={tried.query} />}
    </FormSection>
  );
}

function Result({ rule, query }: { rule: Rule; query: Query }) {
  const report = useReport('activity', query, { limit: looked });
  return (
    <Loaded query={report} what="events">
      {({ items }) => {
        const found = outcomes(rule, items);
        const raising = found.filter((o) => o.raises).length;
        return (
          <>
            <p>
              {raising === 0 ? 'It would raise nothing now.' : `It would raise ${plural(raising, 'alert')} now.`}{' '}
              <Link to={reportLink('activity', query)}>The events that it counts</Link>
            </p>
            <List>
              {found.slice(0, named).map((o) => (
                <ListItem key={o.subject}>
                  <span className="dormer-name">{o.subject}</span>: {o.count}{' '}
                  {o.raises && (
                    <Label isCompact status="warning">
                      raises an alert
                    </Label>
                  )}
                </ListItem>
              ))}
            </List>
          </>
        );
      }}
    </Loaded>
  );
}
