import type { MouseEvent } from 'react';
import { signedIn } from '../api/client';
import { apiURL } from '../app/base';
import { useMessages } from './messages';

/** The address of a file of the API. */
export const fileURL = (path: string): string => apiURL() + path;

/** Has the browser fetch a file of the API, however large it is. */
export async function download(path: string): Promise<void> {
  // Without a session the browser would keep the refusal as the file.
  await signedIn();
  const link = document.createElement('a');
  link.href = fileURL(path);
  link.download = '';
  link.click();
}

/** What a link to a file of the API does when it is followed: who is signed in no more is asked first. */
export function useDownload(): (path: string) => (event: MouseEvent) => void {
  const say = useMessages();
  return (path) => (event) => {
    event.preventDefault();
    download(path).catch((why: unknown) => say.failed('The file was not fetched', why));
  };
}
