/** Cornerstone behind a few calls: the only module of the reader that imports it, and so a chunk of its own. */
import { cache, Enums, getShouldUseCPURendering, imageLoader, init, RenderingEngine, type Types } from '@cornerstonejs/core';
import loader from '@cornerstonejs/dicom-image-loader';
import { applied, inverted, type Matrix, type Point } from './geometry';
import type { Frame } from './series';

const ENGINE = 'isocenter';
const CACHE_BYTES = 2 * 1024 ** 3;

export interface Window {
  center: number;
  width: number;
}

let engine: RenderingEngine | null = null;
let made = 0;

function started(): RenderingEngine {
  if (!engine) {
    init();
    loader.init({ maxWebWorkers: Math.max(1, Math.min(4, navigator.hardwareConcurrency - 1)) });
    cache.setMaxCacheSize(CACHE_BYTES);
    engine = new RenderingEngine(ENGINE);
  }
  return engine;
}

/** Without WebGL images are drawn by the processor; volumes are not. */
export function canDrawVolumes(): boolean {
  started();
  return !getShouldUseCPURendering();
}

export function renderingEngine(): RenderingEngine {
  return started();
}

export function describe(frames: Frame[]): void {
  started();
  for (const { imageId, header } of frames) loader.wadors.metaDataManager.add(imageId, header as never);
}

export function isLoaded(frame: Frame): boolean {
  return cache.getImageLoadObject(frame.imageId) !== undefined && cache.isLoaded(frame.imageId);
}

/** Fetches and decodes a frame into the cache. */
export async function fetchFrame(frame: Frame): Promise<void> {
  await imageLoader.loadAndCacheImage(frame.imageId);
}

/** One stack of frames in an element. */
export class StackView {
  private readonly id = `stack-${++made}`;
  private readonly viewport: Types.IStackViewport;
  private frames: Frame[] = [];
  private fileWindow: Window | null = null;

  constructor(
    readonly element: HTMLDivElement,
    /** Called after every change of what is seen. */
    private readonly changed: () => void,
  ) {
    const type = Enums.ViewportType.STACK;
    started().enableElement({ viewportId: this.id, element, type, defaultOptions: { background: [0, 0, 0] } });
    this.viewport = started().getViewport(this.id) as Types.IStackViewport;
    for (const name of [Enums.Events.IMAGE_RENDERED, Enums.Events.CAMERA_MODIFIED]) {
      element.addEventListener(name, this.changed);
    }
  }

  /** Shows a stack; rejects when its frame cannot be had. */
  async show(frames: Frame[], index: number): Promise<void> {
    this.frames = frames;
    const frame = frames[index];
    if (frame) await fetchFrame(frame);
    await this.viewport.setStack(frames.map((each) => each.imageId), index);
    this.fileWindow = this.window;
    this.viewport.render();
  }

  async goTo(index: number): Promise<void> {
    const frame = this.frames[index];
    if (!frame) return;
    await fetchFrame(frame);
    await this.viewport.setImageIdIndex(index);
  }

  get window(): Window | null {
    const range = this.viewport.getProperties().voiRange;
    if (!range) return null;
    // The ends of the linear window of PS3.3 C.11.2.1.2.1.
    const width = range.upper - range.lower + 1;
    return { center: range.lower + width / 2, width };
  }

  setWindow({ center, width }: Window): void {
    const lower = center - width / 2;
    this.viewport.setProperties({ voiRange: { lower, upper: lower + Math.max(width, 2) - 1 } });
    this.viewport.render();
  }

  resetWindow(): void {
    if (this.fileWindow) this.setWindow(this.fileWindow);
  }

  get inverted(): boolean {
    return this.viewport.getProperties().invert ?? false;
  }

  invert(): void {
    this.viewport.setProperties({ invert: !this.inverted });
    this.viewport.render();
  }

  get zoom(): number {
    return this.viewport.getZoom();
  }

  /** Zooms around a point of the element, which stays where it is. */
  zoomBy(factor: number, around?: Point): void {
    const zoom = Math.min(40, Math.max(0.2, this.viewport.getZoom() * factor));
    const at = around && this.canvasToImage(around);
    this.viewport.setZoom(zoom);
    const after = at && this.imageToCanvas(at);
    if (around && after) this.panBy(around[0] - after[0], around[1] - after[1]);
    this.viewport.render();
  }

  panBy(x: number, y: number): void {
    const [left, top] = this.viewport.getPan();
    this.viewport.setPan([left + x, top + y]);
    this.viewport.render();
  }

  fit(): void {
    this.viewport.resetCamera();
    this.viewport.render();
  }

  /** After the element changed its size: what was fitted is fitted again, what was zoomed stays. */
  resized(): void {
    const fitted = Math.abs(this.viewport.getZoom() - 1) < 0.01;
    started().resize(true, true);
    if (fitted) this.fit();
  }

  /** From column and row (0.0 is the outer edge of the first pixel, PS3.3 C.18.6.1.1) to pixels of the element. */
  get matrix(): Matrix | null {
    const data = this.viewport.getImageData();
    if (!data) return null;
    const { origin, direction, spacing } = data;
    const to = (column: number, row: number): Point => {
      const world = origin.map(
        (each, axis) =>
          each +
          (column - 0.5) * (spacing[0] ?? 1) * (direction[axis] ?? 0) +
          (row - 0.5) * (spacing[1] ?? 1) * (direction[axis + 3] ?? 0),
      );
      const [x, y] = this.viewport.worldToCanvas(world as Types.Point3);
      return [x, y];
    };
    const [x, y] = to(0, 0);
    const [rightX, rightY] = to(1000, 0);
    const [downX, downY] = to(0, 1000);
    return [(rightX - x) / 1000, (rightY - y) / 1000, (downX - x) / 1000, (downY - y) / 1000, x, y];
  }

  imageToCanvas(point: Point): Point | null {
    const matrix = this.matrix;
    return matrix && applied(matrix, point);
  }

  canvasToImage(point: Point): Point | null {
    const matrix = this.matrix;
    return matrix && inverted(matrix, point);
  }

  /** The value under a point of the element, as the modality means it (HU in CT). */
  valueAt(point: Point): number | null {
    const at = this.canvasToImage(point);
    const image = this.viewport.getCornerstoneImage();
    if (!at || !image || image.color) return null;
    const [column, row] = [Math.floor(at[0]), Math.floor(at[1])];
    if (column < 0 || row < 0 || column >= image.columns || row >= image.rows) return null;
    return image.voxelManager?.getScalarData()[row * image.columns + column] ?? null;
  }

  close(): void {
    for (const name of [Enums.Events.IMAGE_RENDERED, Enums.Events.CAMERA_MODIFIED]) {
      this.element.removeEventListener(name, this.changed);
    }
    started().disableElement(this.id);
  }
}
