/** The worklist as the server gives it, the filters in the address, and the pages read so far. */
import { computed, signal } from '@preact/signals';
import { getJson, Problem } from '../http';
import { whenChanged } from '../live';
import { address, go } from '../route';

export type State = 'failed' | 'running' | 'found' | 'nothing' | 'refused' | 'no model';

export interface Label {
  value: string;
  scheme: string;
  meaning: string;
  count: number;
  score: number | null;
}

export interface Study {
  uid: string;
  patient: string;
  patient_id: string;
  birth_date: string;
  sex: string;
  date: string;
  time: string;
  description: string;
  accession: string;
  modalities: string[];
  series: number;
  instances: number;
  state: State;
  progress: number | null;
  reasons: string[];
  labels: Label[];
  flagged: boolean;
  review: 'open' | 'judged' | 'signed' | 'nothing';
  to_judge: number;
  judged: number;
  /** Critical findings that nobody has acknowledged. */
  critical: number;
  priors: number;
}

interface Page {
  studies: Study[];
  next: string | null;
  looked_at: number;
}

export const FILTERS = [
  'patient', 'patient_id', 'accession', 'first_date', 'last_date', 'modality', 'finding', 'state', 'review',
] as const;
export type Filter = (typeof FILTERS)[number];

export const filters = computed(() => {
  const asked = new URLSearchParams(address.value.split('?')[1] ?? '');
  return new Map(FILTERS.map((name) => [name, asked.get(name) ?? ''] as const));
});

export const studies = signal<Study[] | null>(null);
export const next = signal<string | null>(null);
export const lookedAt = signal(0);
export const failure = signal<Problem | null>(null);
export const loading = signal(false);

/** The filters that are set, as a query. */
function asked(set: ReadonlyMap<Filter, string>): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, value] of set) if (value) query.set(name, value);
  return query;
}

export function setFilters(changed: Iterable<readonly [Filter, string]>): void {
  const query = asked(new Map([...filters.value, ...changed]));
  go(query.size ? `/?${query}` : '/', { replace: true });
}

function url(behind: string | null): string {
  const query = asked(filters.value);
  if (behind) query.set('behind', behind);
  return `/api/worklist?${query}`;
}

let asking = new AbortController();

/** The first page, anew. */
export async function load(): Promise<void> {
  asking.abort();
  asking = new AbortController();
  loading.value = true;
  try {
    const page = await getJson<Page>(url(null), asking.signal);
    studies.value = page.studies;
    next.value = page.next;
    lookedAt.value = page.looked_at;
    failure.value = null;
  } catch (error) {
    if (error instanceof Problem) failure.value = error;
    else if (!(error instanceof DOMException)) throw error;
    else return;
  }
  loading.value = false;
}

/** The next page behind those that are shown. */
export async function loadMore(): Promise<void> {
  if (!next.value || loading.value) return;
  loading.value = true;
  try {
    const page = await getJson<Page>(url(next.value), asking.signal);
    const known = new Set(studies.value?.map((study) => study.uid));
    studies.value = [...(studies.value ?? []), ...page.studies.filter((study) => !known.has(study.uid))];
    next.value = page.next;
    lookedAt.value += page.looked_at;
    failure.value = null;
  } catch (error) {
    if (error instanceof Problem) failure.value = error;
  }
  loading.value = false;
}

/** What is new in the first page takes its place at the top; the rows below stay. False: not now. */
async function refresh(): Promise<boolean> {
  if (loading.value) return false;
  if (studies.value === null) return true;
  const asked = asking;
  try {
    const page = await getJson<Page>(url(null), asked.signal);
    if (asked !== asking) return true;
    const known = new Set(page.studies.map((study) => study.uid));
    const below = studies.value.slice(page.studies.length).filter((study) => !known.has(study.uid));
    const isFirstPage = studies.value.length <= page.studies.length || !page.next;
    studies.value = isFirstPage ? page.studies : [...page.studies, ...below];
    if (isFirstPage) next.value = page.next;
    failure.value = null;
  } catch (error) {
    if (error instanceof Problem) failure.value = error;
  }
  return true;
}

/** Keeps the list current until the returned function is called. */
export function keepCurrent(): () => void {
  const stop = whenChanged(['studies', 'work', 'reviews'], refresh);
  return () => {
    stop();
    asking.abort();
  };
}
