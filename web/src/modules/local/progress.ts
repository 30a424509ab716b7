import { bytes } from '../../components/format';
import type { LocalSchemas } from './api';

type Job = LocalSchemas['Job'];

/** What a job does, as people say it. */
export const verbs: Record<Job['kind'], string> = {
  pack: 'Pack',
  upload: 'Upload',
  download: 'Download',
  extract: 'Extract',
  verify: 'Verify',
};

/** How much of a job is done, in per cent; undefined: nobody knows yet. */
export const percent = (job: Job): number | undefined =>
  job.total > 0 ? Math.min(100, Math.floor((100 * job.done) / job.total)) : undefined;

/** A span of time in words: "2 min 5 s". */
export function span(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** How a job goes: "1.2 GiB of 3 GiB, 40 MiB a second, 46 s left". */
export function progressText(job: Job): string {
  const parts = [job.total > 0 ? `${bytes(job.done)} of ${bytes(job.total)}` : bytes(job.done)];
  if (job.rate > 0) {
    parts.push(`${bytes(job.rate)} a second`);
    if (job.total > job.done) parts.push(`${span((job.total - job.done) / job.rate)} left`);
  }
  return parts.join(', ');
}
