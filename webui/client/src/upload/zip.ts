/** The entries of a ZIP file (APPNOTE 6.3), each read when its turn comes. */
import type { Source } from './files';

const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const ENTRY = 0x02014b50;
const STORED = 0;
const DEFLATED = 8;
const LONGEST_COMMENT = 65_535;
const MOST_DIRECTORY_BYTES = 256 * 2 ** 20;
const ABSENT = 0xffffffff;

export class BadZip extends Error {}

export async function* zipEntries(file: Blob, name: string): AsyncGenerator<Source> {
  try {
    yield* entries(file, name);
  } catch (error) {
    if (!(error instanceof BadZip || error instanceof RangeError)) throw error;
    // Listed as a file of its own that cannot be read, so that it is not lost among the others.
    const failed = new BadZip(error instanceof BadZip ? error.message : 'The ZIP file is damaged.');
    yield { name, size: 0, open: () => Promise.reject(failed) };
  }
}

async function* entries(file: Blob, name: string): AsyncGenerator<Source> {
  const { offset, size, count } = await directoryOf(file);
  if (size > MOST_DIRECTORY_BYTES || offset + size > file.size) throw new BadZip('The ZIP file is damaged.');
  const view = await viewOf(file, offset, size);
  let at = 0;
  for (let number = 0; number < count; number++) {
    if (view.getUint32(at, true) !== ENTRY) throw new BadZip('The ZIP file is damaged.');
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((place) => view.getUint16(at + place, true)) as [
      number,
      number,
      number,
    ];
    const raw = new Uint8Array(view.buffer, view.byteOffset + at + 46, nameLength);
    const entry = {
      name: `${name}/${new TextDecoder().decode(raw)}`,
      isEncrypted: (view.getUint16(at + 8, true) & 1) === 1,
      method: view.getUint16(at + 10, true),
      ...sizesOf(view, at, at + 46 + nameLength, extraLength),
    };
    at += 46 + nameLength + extraLength + commentLength;
    if (!entry.name.endsWith('/')) yield { name: entry.name, size: entry.size, open: () => contentOf(file, entry) };
  }
}

interface Sizes {
  size: number;
  packed: number;
  offset: number;
}

interface Entry extends Sizes {
  name: string;
  isEncrypted: boolean;
  method: number;
}

async function directoryOf(file: Blob): Promise<{ offset: number; size: number; count: number }> {
  const begin = Math.max(0, file.size - LONGEST_COMMENT - 22);
  const tail = await viewOf(file, begin, file.size - begin);
  let at = tail.byteLength - 22;
  while (at >= 0 && tail.getUint32(at, true) !== END) at--;
  if (at < 0) throw new BadZip('This is no ZIP file, or its end is missing.');
  if (at >= 20 && tail.getUint32(at - 20, true) === LOCATOR_64) {
    const end = await viewOf(file, long(tail, at - 12), 56);
    if (end.getUint32(0, true) !== END_64) throw new BadZip('The ZIP file is damaged.');
    return { count: long(end, 32), size: long(end, 40), offset: long(end, 48) };
  }
  return { count: tail.getUint16(at + 10, true), size: tail.getUint32(at + 12, true), offset: tail.getUint32(at + 16, true) };
}

/** Sizes of an entry; those that do not fit stand in the extra field 1 (4.5.3). */
function sizesOf(view: DataView, at: number, extra: number, extraLength: number): Sizes {
  const sizes: Sizes = {
    packed: view.getUint32(at + 20, true),
    size: view.getUint32(at + 24, true),
    offset: view.getUint32(at + 42, true),
  };
  for (let place = extra; place + 4 <= extra + extraLength; place += 4 + view.getUint16(place + 2, true)) {
    if (view.getUint16(place, true) !== 1) continue;
    let next = place + 4;
    for (const name of ['size', 'packed', 'offset'] as const) {
      if (sizes[name] !== ABSENT) continue;
      sizes[name] = long(view, next);
      next += 8;
    }
  }
  return sizes;
}

async function contentOf(file: Blob, entry: Entry): Promise<Blob> {
  if (entry.isEncrypted) throw new BadZip('It is encrypted in the ZIP file.');
  const local = await viewOf(file, entry.offset, 30);
  const begin = entry.offset + 30 + local.getUint16(26, true) + local.getUint16(28, true);
  const packed = file.slice(begin, begin + entry.packed);
  if (entry.method === STORED) return packed;
  if (entry.method !== DEFLATED) throw new BadZip(`The ZIP file uses compression method ${entry.method}.`);
  try {
    return await inflated(packed, entry.size);
  } catch {
    throw new BadZip('The ZIP file is damaged.');
  }
}

/** No more than the directory says: a few bytes can become very many. */
async function inflated(packed: Blob, size: number): Promise<Blob> {
  const reader = packed.stream().pipeThrough(new DecompressionStream('deflate-raw')).getReader();
  const pieces: BlobPart[] = [];
  let total = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Blob(pieces);
    total += value.byteLength;
    if (total > size) throw new BadZip('The ZIP file is damaged.');
    pieces.push(value as BlobPart);
  }
}

async function viewOf(file: Blob, begin: number, length: number): Promise<DataView> {
  const bytes = await file.slice(begin, begin + length).arrayBuffer();
  if (bytes.byteLength < length) throw new BadZip('The ZIP file is damaged.');
  return new DataView(bytes);
}

function long(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true));
}
