/** Uploads, in batches of bounded size, one after the other. */
import { computed, signal } from '@preact/signals';
import type { Source } from './files';
import { metaOf } from './part10';
import { type Batched, type Outcome, store } from './store';

const BATCH_BYTES = 32 * 2 ** 20;
const BATCH_FILES = 100;
/** So many problems are listed one by one. */
const LISTED = 500;

const NOTHING = { stored: 0, warned: 0, refused: 0, failed: 0, skipped: 0 };

export const counts = signal({ ...NOTHING });
export const problems = signal<Outcome[]>([]);
/** Studies that something was stored of. */
export const studies = signal<string[]>([]);
export const found = signal({ files: 0, bytes: 0 });
export const sentBytes = signal(0);
export const current = signal('');
export const busy = signal(false);
export const done = computed(() => Object.values(counts.value).reduce((sum, count) => sum + count, 0));

/** What failed for a reason that may be gone. */
export const again = signal<Source[]>([]);

let stopping = new AbortController();
let waiting: AsyncIterable<Source>[] = [];

/** Adds files; begins when nothing is under way. */
export async function upload(files: AsyncIterable<Source>): Promise<void> {
  waiting.push(files);
  if (busy.value) return;
  begin();
  try {
    for (let next = waiting.shift(); next; next = waiting.shift()) await sendAll(next);
  } finally {
    busy.value = false;
    current.value = '';
    waiting = [];
  }
}

function begin(): void {
  busy.value = true;
  stopping = new AbortController();
  again.value = [];
  counts.value = { ...NOTHING };
  problems.value = [];
  studies.value = [];
  found.value = { files: 0, bytes: 0 };
  sentBytes.value = 0;
}

export function stop(): void {
  stopping.abort();
}

/** Sends it again. */
export function retry(): Promise<void> {
  const sources = again.value;
  return upload(
    (async function* () {
      yield* sources;
    })(),
  );
}

async function sendAll(files: AsyncIterable<Source>): Promise<void> {
  let batch = new Batch();
  for await (const source of files) {
    if (stopping.signal.aborted) break;
    found.value = { files: found.value.files + 1, bytes: found.value.bytes + source.size };
    current.value = source.name;
    const file = await readied(source);
    if (!file) continue;
    if (!batch.takes(file)) {
      await batch.send();
      batch = new Batch();
    }
    batch.add(file, source);
  }
  await batch.send();
}

/** The file as it is to be sent; null where there is nothing to send. */
async function readied(source: Source): Promise<Batched | null> {
  try {
    const content = await source.open();
    const meta = await metaOf(content);
    if (meta && !meta.isDirectory) return { name: source.name, sop: meta.sop, content };
    const reason = meta ? 'A DICOMDIR is a table of contents; its files are sent.' : 'Not a DICOM file.';
    note([{ name: source.name, state: 'skipped', reason, study: '' }]);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    note([{ name: source.name, state: 'failed', reason, study: '' }]);
  }
  sentBytes.value += source.size;
  return null;
}

class Batch {
  private files: Batched[] = [];
  private sources: Source[] = [];
  private uids = new Set<string>();
  private bytes = 0;

  /** The answer names files by their UID: those without one, or with the same, go in requests of their own. */
  takes(file: Batched): boolean {
    if (!this.files.length) return true;
    if (!file.sop || this.uids.has('') || this.uids.has(file.sop)) return false;
    return this.bytes + file.content.size <= BATCH_BYTES && this.files.length < BATCH_FILES;
  }

  add(file: Batched, source: Source): void {
    this.files.push(file);
    this.sources.push(source);
    this.uids.add(file.sop);
    this.bytes += file.content.size;
  }

  async send(): Promise<void> {
    if (!this.files.length) return;
    const before = sentBytes.value;
    const tell = (bytes: number) => (sentBytes.value = before + Math.min(bytes, this.bytes));
    const outcomes = await store(this.files, tell, stopping.signal);
    sentBytes.value = before + this.bytes;
    again.value = [...again.value, ...this.sources.filter((_, index) => outcomes[index]?.state === 'failed')];
    note(outcomes);
  }
}

function note(outcomes: Outcome[]): void {
  const sums = { ...counts.value };
  for (const { state } of outcomes) sums[state]++;
  counts.value = sums;
  const wrong = outcomes.filter(({ state }) => state !== 'stored');
  if (wrong.length) problems.value = [...problems.value, ...wrong].slice(0, LISTED);
  const known = new Set([...studies.value, ...outcomes.map(({ study }) => study).filter(Boolean)]);
  if (known.size > studies.value.length) studies.value = [...known];
}
