/** Stores files by STOW-RS (PS3.18 10.5), and tells what became of each. */
import { type Attributes, items, text } from '../dicom';

export interface Batched {
  name: string;
  sop: string;
  content: Blob;
}

export interface Outcome {
  name: string;
  state: 'stored' | 'warned' | 'refused' | 'failed' | 'skipped';
  /** Why, where it was not simply stored. */
  reason: string;
  study: string;
}

const DUPLICATE = '273'; // 0111H (PS3.7 C.5.8)

/** Sends one batch; `sent` hears of bytes as they leave. */
export function store(batch: Batched[], sent: (bytes: number) => void, signal: AbortSignal): Promise<Outcome[]> {
  const boundary = `isocenter-${crypto.getRandomValues(new Uint32Array(4)).join('-')}`;
  const head = `--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`;
  const body = new Blob([...batch.flatMap((file) => [head, file.content, '\r\n']), `--${boundary}--\r\n`]);
  return new Promise((resolve) => {
    const request = new XMLHttpRequest(); // fetch does not tell how much has left
    const ended = (outcomes: Outcome[]) => {
      signal.removeEventListener('abort', stop);
      resolve(outcomes);
    };
    const stop = () => request.abort();
    const failed = (reason: string) => () => ended(batch.map((file) => outcome(file, 'failed', reason)));
    signal.addEventListener('abort', stop);
    request.open('POST', '/dicom-web/studies');
    request.setRequestHeader('Content-Type', `multipart/related; type="application/dicom"; boundary=${boundary}`);
    request.setRequestHeader('Accept', 'application/dicom+json');
    request.upload.onprogress = (event) => sent(event.loaded);
    request.onerror = failed('The server did not answer.');
    request.onabort = failed('It was stopped.');
    request.onload = () => ended(outcomesOf(batch, request));
    request.send(body);
  });
}

function outcomesOf(batch: Batched[], request: XMLHttpRequest): Outcome[] {
  const answer = parsed(request.responseText);
  if (!answer || !['00081198', '00081199', '0008119A'].some((tag) => tag in answer)) {
    const detail = (answer as { detail?: unknown } | null)?.detail;
    const reason = typeof detail === 'string' ? detail : `The server answered ${request.status}.`;
    return batch.map((file) => outcome(file, 'failed', reason));
  }
  const stored = new Map(items(answer, '00081199').map((item) => [text(item, '00081155'), item]));
  const refused = new Map(items(answer, '00081198').map((item) => [text(item, '00081155'), item]));
  const nameless = items(answer, '0008119A')[0];
  return batch.map((file) => {
    const accepted = stored.get(file.sop);
    if (accepted) return acceptedOutcome(file, accepted);
    return outcome(file, 'refused', reasonOf(refused.get(file.sop) ?? nameless));
  });
}

function acceptedOutcome(file: Batched, item: Attributes): Outcome {
  const study = /\/studies\/([0-9.]+)/.exec(text(item, '00081190'))?.[1] ?? '';
  const warning = text(item, '00000902');
  return { ...outcome(file, warning ? 'warned' : 'stored', warning), study };
}

function reasonOf(item: Attributes | undefined): string {
  if (!item) return 'The server did not say what became of it.';
  const comment = text(item, '00000902');
  if (text(item, '00081197') === DUPLICATE) return 'Other bytes are stored under its UID; these are kept in quarantine.';
  return comment || `Failure reason ${text(item, '00081197')}`;
}

function outcome(file: Batched, state: Outcome['state'], reason: string): Outcome {
  return { name: file.name, state, reason, study: '' };
}

function parsed(body: string): Attributes | null {
  try {
    return JSON.parse(body) as Attributes;
  } catch {
    return null;
  }
}
