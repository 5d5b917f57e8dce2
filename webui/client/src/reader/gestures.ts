/** Mouse, wheel and fingers on a pane. */
import type { Pane } from './pane';
import type { Point } from './geometry';

export type Tool = 'window' | 'scroll' | 'zoom' | 'pan';

const PIXELS_PER_FRAME = 6;
const ZOOM_PER_PIXEL = 1.006;
const WHEEL_STEP = 40;

/** Listens until the returned function is called. `tool` is what the first button or one finger does. */
export function listen(element: HTMLElement, pane: Pane, tool: (touch: boolean) => Tool): () => void {
  const pointers = new Map<number, Point>();
  let rest = 0;

  const place = (event: PointerEvent | WheelEvent): Point => {
    const box = element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const down = (event: PointerEvent) => {
    if (event.target instanceof Element && event.target.closest('button, [data-handle]')) return;
    pointers.set(event.pointerId, place(event));
    element.setPointerCapture(event.pointerId);
    rest = 0;
  };
  const up = (event: PointerEvent) => pointers.delete(event.pointerId);
  const move = (event: PointerEvent) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = place(event);
    if (pointers.size === 2) pinch(pane, pointers, event.pointerId, now);
    else drag(now[0] - before[0], now[1] - before[1], chosen(event), before);
    pointers.set(event.pointerId, now);
  };
  const chosen = (event: PointerEvent): Tool =>
    event.buttons & 2 ? 'zoom' : event.buttons & 4 ? 'pan' : tool(event.pointerType === 'touch');
  const drag = (x: number, y: number, by: Tool, from: Point) => {
    if (by === 'window') changeWindow(pane, x, y);
    else if (by === 'zoom') pane.view?.zoomBy(ZOOM_PER_PIXEL ** -y, from);
    else if (by === 'pan') pane.view?.panBy(x, y);
    else {
      rest += y;
      const steps = Math.trunc(rest / PIXELS_PER_FRAME);
      rest -= steps * PIXELS_PER_FRAME;
      if (steps) pane.step(steps);
    }
  };
  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    if (event.ctrlKey) return pane.view?.zoomBy(event.deltaY < 0 ? 1.1 : 1 / 1.1, place(event));
    rest += event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * WHEEL_STEP;
    const steps = Math.trunc(rest / WHEEL_STEP);
    rest -= steps * WHEEL_STEP;
    if (steps) pane.step(steps);
  };
  const noMenu = (event: Event) => event.preventDefault();

  element.addEventListener('pointerdown', down);
  element.addEventListener('pointermove', move);
  element.addEventListener('pointerup', up);
  element.addEventListener('pointercancel', up);
  element.addEventListener('wheel', wheel, { passive: false });
  element.addEventListener('contextmenu', noMenu);
  return () => {
    element.removeEventListener('pointerdown', down);
    element.removeEventListener('pointermove', move);
    element.removeEventListener('pointerup', up);
    element.removeEventListener('pointercancel', up);
    element.removeEventListener('wheel', wheel);
    element.removeEventListener('contextmenu', noMenu);
  };
}

/** Right is wider, down is darker: as far as the window is wide, so that CT and MR both move well. */
export function changeWindow(pane: Pane, x: number, y: number): void {
  const { view } = pane;
  const window = view?.window;
  if (!view || !window) return;
  const step = Math.max(window.width, 1) / 300;
  view.setWindow({ center: window.center + y * step, width: Math.max(1, window.width + x * step) });
}

function pinch(pane: Pane, pointers: Map<number, Point>, moved: number, now: Point): void {
  const before = pointers.get(moved);
  const other = [...pointers].find(([id]) => id !== moved)?.[1];
  if (!before || !other) return;
  const apart = (point: Point) => Math.hypot(point[0] - other[0], point[1] - other[1]) || 1;
  const middle: Point = [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2];
  pane.view?.zoomBy(apart(now) / apart(before), middle);
  pane.view?.panBy((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
}
