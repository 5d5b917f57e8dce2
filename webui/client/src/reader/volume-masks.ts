/** Masks of segmentations in a volume, and what any plane through it cuts of them. */
import { getJson } from '../http';
import type { Segment } from './masks';
import type { Vector } from './patient';
import type { Frame } from './series';

/** Where a segment is on one image: how many pixels lie outside and inside by turns, row after row. */
interface Runs {
  sop_uid: string;
  frame: number;
  segment: number;
  runs: number[];
}

/** From pixels of an element to columns, rows and slices: index = origin + x * right + y * down. */
export interface Cut {
  origin: Vector;
  right: Vector;
  down: Vector;
}

/** For each voxel the number of the set of segments that it is in: segments may overlap. */
export class VolumeMasks {
  private readonly sets: (readonly Segment[])[] = [[]];
  private readonly voxels: Uint8Array | Uint16Array;

  constructor(
    private readonly columns: number,
    private readonly rows: number,
    private readonly slices: number,
    /** How many segments are added at most. */
    segments: number,
  ) {
    // Eight segments make 256 sets.
    this.voxels = new (segments <= 8 ? Uint8Array : Uint16Array)(columns * rows * slices);
  }

  add(segment: Segment, slice: number, runs: readonly number[]): void {
    const joined: number[] = [];
    let at = slice * this.columns * this.rows;
    runs.forEach((length, turn) => {
      const end = at + length;
      for (; turn % 2 && at < end; at += 1) {
        const before = this.voxels[at] ?? 0;
        this.voxels[at] = joined[before] ??= this.joined(before, segment);
      }
      at = end;
    });
  }

  private joined(number: number, segment: Segment): number {
    const set = [...(this.sets[number] ?? []).filter((each) => each !== segment), segment];
    const known = this.sets.findIndex((each) => each.length === set.length && each.every((one, index) => one === set[index]));
    return known >= 0 ? known : this.sets.push(set) - 1;
  }

  /** Draws what a plane cuts of the segments that are `shown`, each outlined and filled by `opacity`. */
  draw(canvas: HTMLCanvasElement, cut: Cut, shown: ReadonlySet<Segment>, opacity: number): void {
    const context = canvas.getContext('2d');
    if (!context || !canvas.width || !canvas.height) return;
    const picture = context.createImageData(canvas.width, canvas.height);
    const colours = new Uint32Array(picture.data.buffer);
    const paint = this.painter(shown, opacity);
    const { width } = canvas;
    const seen = this.seen(width, canvas.height, cut);
    seen.forEach((set, at) => {
      if (!set) return;
      const x = at % width;
      const neighbours = [x ? (seen[at - 1] ?? 0) : 0, x + 1 < width ? (seen[at + 1] ?? 0) : 0, seen[at - width] ?? 0, seen[at + width] ?? 0];
      colours[at] = paint(set, neighbours.find((each) => each !== set) ?? set);
    });
    context.putImageData(picture, 0, 0);
  }

  /** The set of each pixel of the element. */
  private seen(width: number, height: number, { origin, right, down }: Cut): Uint16Array {
    const seen = new Uint16Array(width * height);
    const { columns, rows, slices, voxels } = this;
    for (let y = 0, at = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1, at += 1) {
        const column = Math.round(origin[0] + x * right[0] + y * down[0]);
        const row = Math.round(origin[1] + x * right[1] + y * down[1]);
        const slice = Math.round(origin[2] + x * right[2] + y * down[2]);
        if (column < 0 || row < 0 || slice < 0 || column >= columns || row >= rows || slice >= slices) continue;
        seen[at] = voxels[(slice * rows + row) * columns + column] ?? 0;
      }
    }
    return seen;
  }

  /** The colour of a pixel in a set beside one in another: that of the segment that ends there, else of the last one. */
  private painter(shown: ReadonlySet<Segment>, opacity: number): (set: number, beside: number) => number {
    const sets = this.sets.map((set) => set.filter((segment) => shown.has(segment)));
    const known = new Map<number, number>();
    return (set, beside) => {
      const key = set * 65536 + beside;
      let colour = known.get(key);
      if (colour === undefined) {
        const [here, there] = [sets[set] ?? [], sets[beside] ?? []];
        const ends = here.findLast((segment) => !there.includes(segment));
        const last = here.at(-1);
        colour = ends ? packed(ends.colour, 1) : last ? packed(last.colour, opacity) : 0;
        known.set(key, colour);
      }
      return colour;
    };
  }
}

/** #rrggbb as a word of ImageData, whose bytes are red, green, blue, alpha. */
function packed(colour: string, opacity: number): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
  return ((Math.round(opacity * 255) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/**
 * The masks of `segments` on the frames of a volume, in the order in which they lie in it.
 *
 * The size is that of the images; slices without a mask stay empty.
 */
export async function readVolumeMasks(
  [columns, rows]: readonly [number, number],
  frames: readonly Frame[],
  segments: readonly Segment[],
): Promise<VolumeMasks> {
  const masks = new VolumeMasks(columns, rows, frames.length, segments.length);
  const slices = new Map(frames.map((frame, slice) => [`${frame.sop} ${frame.frame}`, slice]));
  const series = frames[0]?.url.replace(/^\/dicom-web/, '/overlay').replace(/\/instances\/.*$/, '');
  for (const segmentation of new Set(segments.map((segment) => segment.segmentation))) {
    const own = new Map(segments.filter((each) => each.segmentation === segmentation).map((each) => [each.number, each]));
    for (const each of await getJson<Runs[]>(`${series}/masks?seg=${segmentation}`)) {
      const [segment, slice] = [own.get(each.segment), slices.get(`${each.sop_uid} ${each.frame}`)];
      if (segment && slice !== undefined) masks.add(segment, slice, each.runs);
    }
  }
  return masks;
}
