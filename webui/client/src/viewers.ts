/** Other viewers that open a study. */
import { signal } from '@preact/signals';
import { getJson, Problem } from './http';

/** Where OHIF opens a study, but for its UID; null where it is not installed. */
export const ohif = signal<string | null>(null);

let asked = false;

/** Asks once whether OHIF is there. */
export function askForViewers(): void {
  if (asked) return;
  asked = true;
  getJson<{ ohif: string | null }>('/api/viewers').then(
    (viewers) => (ohif.value = viewers.ohif),
    (error: unknown) => {
      asked = false;
      if (!(error instanceof Problem)) throw error; // everything else works without
    },
  );
}
