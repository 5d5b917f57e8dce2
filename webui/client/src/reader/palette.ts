/** Palettes as numbers: the decoder takes neither inline binary values nor addresses of them (PS3.18 F.2.6). */
import { type Attributes, text } from '../dicom';

const TABLES = ['00281201', '00281202', '00281203'];

interface Binary {
  InlineBinary?: string;
  BulkDataURI?: string;
  Value?: unknown[];
}

/** Puts the values of palettes into the headers of images that have one. */
export async function readPalettes(headers: Attributes[]): Promise<void> {
  const coloured = headers.filter((header) => text(header, '00280004') === 'PALETTE COLOR');
  await Promise.all(coloured.flatMap((header) => TABLES.map((tag) => readPalette(header[tag] as Binary | undefined))));
}

async function readPalette(element: Binary | undefined): Promise<void> {
  const bytes = element && (await bytesOf(element));
  if (bytes) element.Value = [...new Uint16Array(bytes.buffer, 0, Math.floor(bytes.length / 2))];
}

async function bytesOf({ InlineBinary, BulkDataURI }: Binary): Promise<Uint8Array | null> {
  if (InlineBinary) return Uint8Array.from(atob(InlineBinary), (each) => each.charCodeAt(0));
  if (!BulkDataURI) return null;
  const answer = await fetch(BulkDataURI, { headers: { Accept: 'application/octet-stream' } });
  return answer.ok ? new Uint8Array(await answer.arrayBuffer()) : null;
}
