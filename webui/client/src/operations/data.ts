/** What the operations page shows, asked again when it has changed. */
import { signal, type Signal } from '@preact/signals';
import { getJson, Problem } from '../http';
import { type Kind, whenChanged } from '../live';

export interface Sender {
  protocol: string;
  peer: string;
  address: string;
  last_at: string;
  last_hour: number;
  last_day: number;
  /** Instances in each of the last 24 hours, the latest first. */
  hours: number[];
}

export interface Refusal {
  protocol: string;
  peer: string;
  address: string;
  reason: string;
  sop: string;
  study: string;
  kept: boolean;
  times: number;
  last_at: string;
}

export interface Part {
  /** node, web, worker, scheduler or router. */
  name: string;
  host: string;
  pid: number;
  version: string;
  started_at: string;
  beat_at: string;
  /** Not heard for longer than a part that runs is ever silent. */
  silent: boolean;
}

export interface Operations {
  version: string;
  trouble: string | null;
  parts: Part[];
  since: string;
  senders: Sender[];
  refusals: Refusal[];
  disks: { holds: string; free: number; total: number }[];
}

export interface Volume {
  study: number;
  series: number;
  instance: number;
  bytes: number;
  at: string;
}

export interface WorkItem {
  uid: string;
  label: string;
  model: string;
  version: string;
  study: string;
  state: 'SCHEDULED' | 'IN PROGRESS' | 'COMPLETED' | 'CANCELED';
  outcome: string | null;
  reason: string;
  attempts: number;
  progress: number;
  progress_note: string;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
}

export interface Work {
  counts: Record<WorkItem['state'], number>;
  work: WorkItem[];
}

export interface Model {
  name: string;
  version: string;
  title: string;
  task: string;
  intended_use: string;
  stopped: string | null;
  /** The version that runs beside it, and whose results nobody sees. */
  shadow: string | null;
  /** Those that are installed, the oldest first. */
  versions: string[];
}

export interface Figures {
  model: string;
  version: string;
  results: number;
  findings: number;
  judged: number;
  accepted: number;
  corrected: number;
  rejected: number;
  missed: number;
  agreement: number | null;
  latency_seconds: number | null;
}

export interface Quality {
  models: Figures[];
  scanners: (Figures & { manufacturer: string; scanner: string; month: string })[];
  drift: { model: string; version: string; month: string; histograms: Record<string, Record<string, number>> }[];
}

export interface Destination {
  destination: string;
  to: string | null;
  waiting: number;
  oldest: string | null;
  parked: number;
  sent: number;
  last_sent_at: string | null;
  last_reason: string | null;
}

export interface Shipment {
  id: number;
  destination: string;
  study: string;
  state: string;
  queued_at: string;
  attempts: number;
  total: number;
  sent: number;
  reason: string;
}

export interface Routes {
  destinations: Destination[];
  shipments: Shipment[];
}

/** One address, and what it said last. */
export class Told<T> {
  readonly value: Signal<T | null> = signal(null);
  readonly failure: Signal<Problem | null> = signal(null);

  constructor(
    readonly url: string,
    /** What makes it differ; the rest is seen when everything is asked for, once a minute. */
    readonly kinds: readonly Kind[],
  ) {}

  async ask(): Promise<void> {
    try {
      this.value.value = await getJson<T>(this.url);
      this.failure.value = null;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.failure.value = error;
    }
  }
}

export const operations = new Told<Operations>('/api/operations', ['studies', 'refusals', 'parts']);
export const volume = new Told<Volume>('/api/operations/volume', ['studies']);
export const running = new Told<Work>('/api/work?state=IN%20PROGRESS&state=SCHEDULED&limit=50', ['work']);
export const failed = new Told<Work>('/api/work?state=CANCELED&outcome=failed&limit=50', ['work']);
export const refused = new Told<Work>('/api/work?state=CANCELED&outcome=refused&limit=20', ['work']);
export const routes = new Told<Routes>('/api/routes?limit=20', ['routes']);
export const models = new Told<{ models: Model[] }>('/api/models', ['models']);
export const quality = new Told<Quality>('/api/quality', ['reviews']);

const ALL: Told<unknown>[] = [operations, volume, running, failed, refused, routes, models, quality];
const KINDS = [...new Set(ALL.flatMap((told) => told.kinds))];

/** Asks for everything, and again for what has changed, until the returned function is called. */
export function keepCurrent(): () => void {
  const ask = (asked: Told<unknown>[]) => Promise.all(asked.map((told) => told.ask()));
  void ask(ALL);
  return whenChanged(KINDS, async (news) => {
    await ask(ALL.filter((told) => told.kinds.some((kind) => news.has(kind))));
    return true;
  });
}
