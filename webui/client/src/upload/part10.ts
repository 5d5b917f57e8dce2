/** What the file meta information says of a DICOM file (PS3.10 7.1). */

const META_BYTES = 2048;
const MEDIA_DIRECTORY = '1.2.840.10008.1.3.10';
const LONG_LENGTH = new Set(['OB', 'OW', 'OF', 'OD', 'OL', 'OV', 'SQ', 'UN', 'UC', 'UR', 'UT', 'SV', 'UV']);

export interface Meta {
  /** Media Storage SOP Instance UID; empty where it is missing. */
  sop: string;
  /** A DICOMDIR: it names files, and is none of them. */
  isDirectory: boolean;
}

/** Null for what is no DICOM file. */
export async function metaOf(file: Blob): Promise<Meta | null> {
  const bytes = await file.slice(0, META_BYTES).arrayBuffer();
  if (bytes.byteLength < 132 || ascii(bytes, 128, 4) !== 'DICM') return null;
  const elements = group2(new DataView(bytes));
  return { sop: elements.get(0x0003) ?? '', isDirectory: elements.get(0x0002) === MEDIA_DIRECTORY };
}

/** The UIDs of group 2, by element number. */
function group2(view: DataView): Map<number, string> {
  const found = new Map<number, string>();
  let at = 132;
  while (at + 12 <= view.byteLength && view.getUint16(at, true) === 2) {
    const element = view.getUint16(at + 2, true);
    const vr = ascii(view.buffer as ArrayBuffer, at + 4, 2);
    const isLong = LONG_LENGTH.has(vr);
    const length = isLong ? view.getUint32(at + 8, true) : view.getUint16(at + 6, true);
    const begin = at + (isLong ? 12 : 8);
    if (begin + length > view.byteLength) break;
    if (vr === 'UI') found.set(element, ascii(view.buffer as ArrayBuffer, begin, length).replace(/[\0 ]+$/, ''));
    at = begin + length;
  }
  return found;
}

function ascii(bytes: ArrayBuffer, begin: number, length: number): string {
  return String.fromCharCode(...new Uint8Array(bytes, begin, length));
}
