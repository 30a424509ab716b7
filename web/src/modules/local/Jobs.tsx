import {
  Alert,
  Button,
  Content,
  EmptyState,
  EmptyStateBody,
  Flex,
  FlexItem,
  Label,
  List,
  ListItem,
  Progress,
  Stack,
} from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { asProblem } from '../../api/problem';
import { Loaded } from '../../components/Loaded';
import { Time } from '../../components/format';
import { useMessages } from '../../components/messages';
import { isUnderWay, jobsQuery, local, type LocalSchemas } from './api';
import { percent, progressText, verbs } from './progress';

type Job = LocalSchemas['Job'];

/** What this computer packs, uploads and fetches. It goes on without this page. */
export function Jobs() {
  const query = useQuery(jobsQuery);
  return (
    <Loaded query={query} what="jobs">
      {(jobs) =>
        jobs.length === 0 ? (
          <EmptyState titleText="Nothing is under way" headingLevel="h2">
            <EmptyStateBody>
              Packing, uploads and downloads are shown here. They go on when this page is closed, as long as{' '}
              <code>dormer console</code> runs.
            </EmptyStateBody>
          </EmptyState>
        ) : (
          <List isPlain isBordered aria-label="Jobs">
            {jobs.map((j) => (
              <ListItem key={j.id}>
                <OneJob job={j} />
              </ListItem>
            ))}
          </List>
        )
      }
    </Loaded>
  );
}

const outcomes: Record<Job['state'], 'success' | 'danger' | 'warning' | 'info'> = {
  waiting: 'info',
  running: 'info',
  done: 'success',
  failed: 'danger',
  cancelled: 'warning',
};

function stateText(job: Job): string {
  switch (job.state) {
    case 'waiting':
      return 'waits for its turn';
    case 'running':
      return progressText(job);
    case 'done':
      return 'done';
    case 'failed':
      return 'failed';
    case 'cancelled':
      return 'cancelled';
  }
}

function OneJob({ job }: { job: Job }) {
  const queries = useQueryClient();
  const say = useMessages();
  const title = `${verbs[job.kind]} ${job.name}${job.version === undefined ? '' : `/${job.version}`}`;
  const warnings = job.warnings ?? [];
  const end = async () => {
    try {
      await local.DELETE('/jobs/{id}', { params: { path: { id: job.id } } });
      await queries.invalidateQueries({ queryKey: ['local-job'] });
    } catch (thrown) {
      say.failed(`${title} could not be ended`, asProblem(thrown));
    }
  };
  return (
    <Stack hasGutter>
      <Flex alignItems={{ default: 'alignItemsFlexStart' }} flexWrap={{ default: 'wrap', md: 'nowrap' }}>
        <FlexItem grow={{ default: 'grow' }}>
          {isUnderWay(job) ? (
            <Progress
              id={`job-${job.id}`}
              aria-label={title}
              title={<span className="dormer-name">{title}</span>}
              value={percent(job) ?? 0}
              label={stateText(job)}
              valueText={stateText(job)}
            />
          ) : (
            <p>
              <strong className="dormer-name">{title}</strong>{' '}
              <Label status={outcomes[job.state]}>{stateText(job)}</Label>
            </p>
          )}
          {job.message !== undefined && <p className="dormer-name">{job.message}</p>}
          <Content component="small">
            {job.ended === undefined ? (
              <>
                Asked for <Time at={job.asked} />
              </>
            ) : (
              <>
                Ended <Time at={job.ended} />
              </>
            )}
          </Content>
        </FlexItem>
        <FlexItem>
          <Button
            variant="secondary"
            onClick={() => void end()}
            aria-label={`${isUnderWay(job) ? 'Cancel' : 'Forget'}: ${title}`}
          >
            {isUnderWay(job) ? 'Cancel' : 'Forget'}
          </Button>
        </FlexItem>
      </Flex>
      {warnings.length > 0 && (
        <Alert isInline variant="warning" title="What keeps it from being a good image">
          <List>
            {warnings.map((w) => (
              <ListItem key={w}>{w}</ListItem>
            ))}
          </List>
        </Alert>
      )}
    </Stack>
  );
}
