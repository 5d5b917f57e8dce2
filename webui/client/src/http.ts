/** Requests to this server. What goes wrong is a `Problem`, whose message is fit to be shown. */

export class Problem extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly body: unknown = null,
  ) {
    super(message);
  }
}

/** GETs JSON. */
export async function getJson<T>(url: string, signal?: AbortSignal): Promise<T> {
  return answered<T>(await asked(url, signal ? { signal } : {}));
}

/** POSTs JSON, and gets JSON. */
export function postJson<T>(url: string, body: unknown): Promise<T> {
  return sent<T>('POST', url, body);
}

/** DELETEs; the body says who does. */
export async function remove(url: string, body: unknown): Promise<void> {
  await sent<unknown>('DELETE', url, body);
}

async function sent<T>(method: string, url: string, body: unknown): Promise<T> {
  const headers = { 'Content-Type': 'application/json' };
  return answered<T>(await asked(url, { method, headers, body: JSON.stringify(body) }));
}

async function asked(url: string, options: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...options, headers: { Accept: 'application/json', ...options.headers } });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Problem(0, 'The server does not answer. Is it running, and is this machine connected?');
  }
}

async function answered<T>(response: Response): Promise<T> {
  const text = await response.text();
  const body: unknown = text ? parsed(text) : null;
  if (response.ok) return body as T;
  throw new Problem(response.status, detailOf(body) ?? `The server answered ${response.status}.`, body);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function detailOf(body: unknown): string | null {
  const detail = body && typeof body === 'object' && 'detail' in body ? body.detail : null;
  return typeof detail === 'string' ? detail : null;
}
