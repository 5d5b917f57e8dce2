/** Three planes through one volume, which meet in a point that a press moves. */
import {
  cornerstoneStreamingImageVolumeLoader,
  Enums,
  eventTarget,
  setVolumesForViewports,
  StreamingImageVolume,
  type Types,
  volumeLoader,
} from '@cornerstonejs/core';
import type { Point } from './geometry';
import { letters, plus, type Sides, sidesOf, type Vector } from './patient';
import { cross, type Frame } from './series';
import type { Cut } from './volume-masks';
import { renderingEngine, type Window } from './viewer';

export const PLANES = ['axial', 'sagittal', 'coronal'] as const;
export type Plane = (typeof PLANES)[number];
const SCHEME = 'cornerstoneStreamingImageVolume';
/** A point is seen this far from its plane. */
const NEAR_MM = 3;
/** A ring no smaller than this, in pixels, leaves to be seen what it is around. */
const LEAST_RING = 12;
/** Steps of one pixel are measured over so many. */
const FAR = 1000;
const EVENTS = [Enums.Events.IMAGE_RENDERED, Enums.Events.CAMERA_MODIFIED];

const LOADED = [Enums.Events.IMAGE_VOLUME_MODIFIED, Enums.Events.IMAGE_VOLUME_LOADING_COMPLETED];

const idOf = (plane: Plane) => `mpr-${plane}`;

export class Mpr {
  private readonly engine = renderingEngine();
  private meeting: Types.Point3 | null = null;
  private volume: Types.IImageVolume | null = null;
  /** How many slices of the volume have come. */
  loaded = 0;

  constructor(
    private readonly elements: Record<Plane, HTMLDivElement>,
    private readonly changed: () => void,
  ) {
    volumeLoader.registerVolumeLoader(SCHEME, cornerstoneStreamingImageVolumeLoader as never);
    for (const plane of PLANES) {
      const element = elements[plane];
      const orientation = Enums.OrientationAxis[plane.toUpperCase() as 'AXIAL' | 'SAGITTAL' | 'CORONAL'];
      const defaultOptions = { orientation, background: [0, 0, 0] as Types.Point3 };
      this.engine.enableElement({ viewportId: idOf(plane), element, type: Enums.ViewportType.ORTHOGRAPHIC, defaultOptions });
      for (const name of EVENTS) element.addEventListener(name, changed);
    }
    for (const name of LOADED) eventTarget.addEventListener(name, this.came);
  }

  private readonly came = (event: Event) => {
    const { volumeId, framesProcessed } = (event as CustomEvent).detail;
    if (volumeId !== this.volume?.volumeId) return;
    this.loaded = framesProcessed ?? this.slices.length;
    this.changed();
  };

  private viewport(plane: Plane): Types.IVolumeViewport {
    return this.engine.getViewport(idOf(plane)) as Types.IVolumeViewport;
  }

  async show(series: string, frames: Frame[], window: Window | null): Promise<void> {
    const volumeId = `${SCHEME}:${series}`;
    const volume = await volumeLoader.createAndCacheVolume(volumeId, { imageIds: frames.map((each) => each.imageId) });
    this.volume = volume;
    if (volume instanceof StreamingImageVolume) {
      volume.load(() => undefined);
      // One that was read before says nothing any more.
      if (volume.loadStatus.loaded) this.loaded = this.slices.length;
    }
    await setVolumesForViewports(this.engine, [{ volumeId }], PLANES.map(idOf));
    if (window) this.setWindow(window);
    this.meeting = this.viewport('axial').getCamera().focalPoint ?? null;
    this.engine.renderViewports(PLANES.map(idOf));
  }

  setWindow({ center, width }: Window): void {
    const voiRange = { lower: center - width / 2, upper: center + width / 2 };
    for (const plane of PLANES) this.viewport(plane).setProperties({ voiRange });
    this.engine.renderViewports(PLANES.map(idOf));
  }

  /** Moves a plane along itself; the planes meet there. */
  scroll(plane: Plane, by: number): void {
    const viewport = this.viewport(plane);
    viewport.scroll(by);
    const { focalPoint, viewPlaneNormal } = viewport.getCamera();
    if (focalPoint && viewPlaneNormal && this.meeting) this.meeting = moved(this.meeting, focalPoint, viewPlaneNormal);
    this.changed();
  }

  /** All planes go through the point that is seen at a place of one. */
  meetAt(plane: Plane, at: Point): void {
    const others = PLANES.filter((other) => other !== plane);
    this.meet(this.viewport(plane).canvasToWorld([at[0], at[1]]), others);
  }

  /** All planes go through a point of the patient. */
  meet([x, y, z]: Vector | Types.Point3, planes: readonly Plane[] = PLANES): void {
    this.meeting = [x, y, z];
    for (const plane of planes) this.viewport(plane).jumpToWorld([x, y, z]);
    this.changed();
  }

  /** Zooms a plane around a point of its element, which stays where it is. */
  zoomBy(plane: Plane, factor: number, around: Point): void {
    const viewport = this.viewport(plane);
    const under = viewport.canvasToWorld([around[0], around[1]]);
    viewport.setZoom(Math.min(40, Math.max(0.2, viewport.getZoom() * factor)));
    const [x, y] = viewport.worldToCanvas(under);
    this.panBy(plane, around[0] - x, around[1] - y);
  }

  panBy(plane: Plane, x: number, y: number): void {
    const viewport = this.viewport(plane);
    const [left, top] = viewport.getPan();
    viewport.setPan([left + x, top + y]);
    viewport.render();
  }

  /** Every plane whole again, through the same point. */
  fit(): void {
    const { meeting } = this;
    for (const plane of PLANES) this.viewport(plane).resetCamera();
    if (meeting) this.meet(meeting);
    this.engine.renderViewports(PLANES.map(idOf));
  }

  resized(): void {
    this.engine.resize(true, true);
  }

  /** Where a plane cuts a ball: middle and radius in pixels of its element; null where it does not. */
  circleIn(plane: Plane, center: Vector, radius: number): { at: Point; radius: number } | null {
    const viewport = this.viewport(plane);
    const { focalPoint, viewPlaneNormal, viewUp } = viewport.getCamera();
    if (!focalPoint || !viewPlaneNormal || !viewUp) return null;
    const far = center.reduce((sum, each, axis) => sum + (each - (focalPoint[axis] ?? 0)) * (viewPlaneNormal[axis] ?? 0), 0);
    const reach = Math.max(radius, NEAR_MM);
    if (Math.abs(far) > reach) return null;
    const on = moved([...center], focalPoint, viewPlaneNormal);
    const [x, y] = viewport.worldToCanvas(on);
    const [upX, upY] = viewport.worldToCanvas([on[0] + viewUp[0], on[1] + viewUp[1], on[2] + viewUp[2]]);
    return { at: [x, y], radius: Math.max(LEAST_RING, Math.sqrt(reach ** 2 - far ** 2) * Math.hypot(upX - x, upY - y)) };
  }

  /** Columns and rows of the volume. */
  get size(): readonly [number, number] {
    const [columns, rows] = this.volume?.dimensions ?? [0, 0];
    return [columns, rows];
  }

  /** Image ids of the slices of the volume, in the order in which they lie. */
  get slices(): readonly string[] {
    return this.volume?.imageIds ?? [];
  }

  /** Width and height of the element of a plane, in pixels. */
  sizeOf(plane: Plane): readonly [number, number] {
    const { clientWidth, clientHeight } = this.elements[plane];
    return [clientWidth, clientHeight];
  }

  /** Which voxels a plane shows; null while there is nothing to show. */
  cutOf(plane: Plane): Cut | null {
    const image = this.volume?.imageData;
    if (!image) return null;
    const at = (x: number, y: number): Vector => {
      const [column = 0, row = 0, slice = 0] = image.worldToIndex(this.viewport(plane).canvasToWorld([x, y]));
      return [column, row, slice];
    };
    const origin = at(0.5, 0.5);
    const step = (to: Vector) => plus([0, 0, 0], 1 / FAR, plus(to, -1, origin));
    return { origin, right: step(at(FAR + 0.5, 0.5)), down: step(at(0.5, FAR + 0.5)) };
  }

  sidesIn(plane: Plane): Sides | null {
    const { viewUp, viewPlaneNormal } = this.viewport(plane).getCamera();
    if (!viewUp || !viewPlaneNormal) return null;
    return sidesOf(letters(cross(viewUp, viewPlaneNormal)), letters(viewUp.map((each) => -each)));
  }

  /** Where the planes meet, in pixels of the element of a plane. */
  meetingIn(plane: Plane): Point | null {
    if (!this.meeting) return null;
    const [x, y] = this.viewport(plane).worldToCanvas(this.meeting);
    return Number.isFinite(x) && Number.isFinite(y) ? [x, y] : null;
  }

  close(): void {
    for (const name of LOADED) eventTarget.removeEventListener(name, this.came);
    for (const plane of PLANES) {
      for (const name of EVENTS) this.elements[plane].removeEventListener(name, this.changed);
      this.engine.disableElement(idOf(plane));
    }
  }
}

/** The point of the plane through `on` that is nearest to `point`. */
function moved(point: Types.Point3, on: Types.Point3, normal: Types.Point3): Types.Point3 {
  const far = point.reduce((sum, each, axis) => sum + (each - (on[axis] ?? 0)) * (normal[axis] ?? 0), 0);
  return [point[0] - far * normal[0], point[1] - far * normal[1], point[2] - far * normal[2]];
}
