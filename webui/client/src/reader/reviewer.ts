/** Who reads: as the server says, else asked once and kept by the browser. */
import { signal } from '@preact/signals';
import { getJson } from '../http';

const KEY = 'isocenter.reviewer';

export const reviewer = signal(localStorage.getItem(KEY) ?? '');
/** The server says who it is: it cannot be anybody else. */
export const fixed = signal(false);
/** Set while the name is asked for; called with the answer, or with null when nobody wants to say. */
export const asking = signal<((name: string | null) => void) | null>(null);

/** The name for reviews; asks for it when it is not known. */
export function reviewerName(): Promise<string | null> {
  if (reviewer.value) return Promise.resolve(reviewer.value);
  return new Promise((resolve) => {
    asking.value = (name) => {
      asking.value = null;
      if (name) keepName(name);
      resolve(name);
    };
  });
}

export function keepName(name: string): void {
  localStorage.setItem(KEY, name);
  reviewer.value = name;
}

/** Asks the server. */
export async function readWho(): Promise<void> {
  const me = await getJson<{ name: string | null; fixed: boolean }>('/api/me');
  fixed.value = me.fixed;
  if (me.fixed) reviewer.value = me.name ?? '';
}
