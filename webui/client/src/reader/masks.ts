/** Masks of segmentations: which slices a segment is on, and its picture there, decoded by the server. */
import { type Attributes, items, text } from '../dicom';
import { getJson } from '../http';
import type { Frame } from './series';

/** Told apart by colour-blind readers too (Okabe and Ito); segment n takes the n-th, and round again. */
const COLOURS = ['#e69f00', '#56b4e9', '#009e73', '#f0e442', '#d55e00', '#cc79a7', '#0072b2'];

export interface Segment {
  segmentation: string;
  number: number;
  label: string;
  colour: string;
  /** SOP Instance UIDs of the images it is on; empty where the segmentation names none. */
  images: Set<string>;
}

/** The segments of a stored segmentation, by its metadata. */
export async function readSegments(study: string, series: string, sop: string): Promise<Segment[]> {
  const path = `/dicom-web/studies/${study}/series/${series}/instances/${sop}/metadata`;
  const [header] = await getJson<Attributes[]>(path);
  if (!header) return [];
  const segments = items(header, '00620002').map((item) => {
    const number = Number(text(item, '00620004'));
    const colour = COLOURS[(number - 1) % COLOURS.length] ?? '#ffffff';
    return { segmentation: sop, number, label: text(item, '00620005'), colour, images: new Set<string>() };
  });
  const byNumber = new Map(segments.map((segment) => [segment.number, segment]));
  for (const frame of items(header, '52009230')) {
    const number = Number(text(items(frame, '0062000A')[0], '0062000B'));
    for (const derivation of items(frame, '00089124')) {
      for (const source of items(derivation, '00082112')) byNumber.get(number)?.images.add(text(source, '00081155'));
    }
  }
  return segments;
}

const pictures = new Map<string, Promise<ImageBitmap | null>>();
const KEPT = 400;

/** The mask of a segment on a frame: white where it is, transparent elsewhere; null where it is not. */
export function maskOf(segment: Segment, frame: Frame): Promise<ImageBitmap | null> {
  if (segment.images.size && !segment.images.has(frame.sop)) return Promise.resolve(null);
  const path = frame.url.replace(/^\/dicom-web/, '/overlay').replace(/\/frames\/\d+$/, '/mask');
  const asked = new URLSearchParams({
    seg: segment.segmentation,
    segment: String(segment.number),
    frame: String(frame.frame),
  });
  const url = `${path}?${asked}`;
  const known = pictures.get(url);
  if (known) return known;
  const picture = fetchMask(url);
  if (pictures.size >= KEPT) pictures.delete(pictures.keys().next().value ?? '');
  pictures.set(url, picture);
  picture.catch(() => pictures.delete(url));
  return picture;
}

async function fetchMask(url: string): Promise<ImageBitmap | null> {
  const answer = await fetch(url);
  if (answer.status === 204) return null;
  if (!answer.ok) throw new Error(`The mask could not be read (${answer.status}).`);
  return createImageBitmap(await answer.blob());
}

/** Draws masks in their colours over each other, filled by `opacity` and outlined. */
export function drawMasks(canvas: HTMLCanvasElement, masks: [Segment, ImageBitmap][], opacity: number): void {
  const first = masks[0]?.[1];
  if (!first) return;
  canvas.width = first.width;
  canvas.height = first.height;
  const context = canvas.getContext('2d');
  const scratch = new OffscreenCanvas(first.width, first.height).getContext('2d', { willReadFrequently: true });
  if (!context || !scratch) return;
  for (const [segment, mask] of masks) {
    scratch.clearRect(0, 0, mask.width, mask.height);
    scratch.drawImage(mask, 0, 0);
    scratch.putImageData(coloured(scratch.getImageData(0, 0, mask.width, mask.height), segment.colour, opacity), 0, 0);
    context.drawImage(scratch.canvas, 0, 0);
  }
}

function coloured(picture: ImageData, colour: string, opacity: number): ImageData {
  const { width, height, data } = picture;
  const inside = (x: number, y: number) =>
    x >= 0 && y >= 0 && x < width && y < height && (sources[(y * width + x) * 4 + 3] ?? 0) > 0;
  const sources = data.slice();
  const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 4) {
      if (!sources[at + 3]) continue;
      const edge = !(inside(x - 1, y) && inside(x + 1, y) && inside(x, y - 1) && inside(x, y + 1));
      data[at] = red ?? 255;
      data[at + 1] = green ?? 255;
      data[at + 2] = blue ?? 255;
      data[at + 3] = edge ? 255 : Math.round(opacity * 255);
    }
  }
  return picture;
}
