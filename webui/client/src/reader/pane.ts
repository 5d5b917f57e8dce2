/** The state of one pane: which series, which frame of it, how it is shown, how much of it has come. */
import { batch, computed, type Signal, signal } from '@preact/signals';
import { Prefetch } from './prefetch';
import { type Frame, frameUrl, readFrames, type Series, seriesUrl, windowsOf } from './series';
import type { Matrix } from './geometry';
import type { StackView, Window } from './viewer';

export type Viewer = typeof import('./viewer');
let viewer: Promise<Viewer> | null = null;

/** The chunk with Cornerstone, fetched once. */
export function loadViewer(): Promise<Viewer> {
  viewer ??= import('./viewer');
  return viewer;
}

const CINE_FRAMES_PER_SECOND = 15;

export class Pane {
  readonly series: Signal<Series | null> = signal(null);
  readonly frames: Signal<Frame[]> = signal([]);
  readonly index = signal(0);
  readonly loaded = signal(0);
  readonly failure: Signal<string | null> = signal(null);
  /** The frame that is on the screen; null until the first one is. */
  readonly shown: Signal<Frame | null> = signal(null);
  readonly matrix: Signal<Matrix | null> = signal(null);
  readonly window: Signal<Window | null> = signal(null);
  /** What the server draws until the frame itself is there: its address, but for how it is shown. */
  readonly picture: Signal<string | null> = signal(null);
  /** The window that a person asked for before there was a frame to show with it. */
  readonly asked: Signal<Window | null> = signal(null);
  readonly inverted = signal(false);
  readonly playing = signal(false);
  readonly frame = computed(() => this.frames.value[this.index.value] ?? null);
  readonly windows = computed(() => (this.frame.value ? windowsOf(this.frame.value.header) : []));
  view: StackView | null = null;
  private viewer: Viewer | null = null;
  private prefetch: Prefetch | null = null;
  private opening = new AbortController();
  private moving = false;
  private timer = 0;

  /** Takes over an element to draw in. */
  async attach(element: HTMLDivElement): Promise<void> {
    if (this.opening.signal.aborted) this.opening = new AbortController();
    this.viewer = await loadViewer();
    if (this.opening.signal.aborted) return;
    this.view = new this.viewer.StackView(element, () => this.seen());
    if (this.frames.value.length) await this.display();
  }

  close(): void {
    this.opening.abort();
    this.prefetch?.stop();
    this.stop();
    this.view?.close();
    this.view = null;
    // What is drawn next of this series looks the same.
    this.asked.value = this.window.value;
    this.shown.value = null;
  }

  /** Opens a series, at the frame of an image if it is named, else in the middle. */
  async open(series: Series, sop?: string, frame = 1): Promise<void> {
    this.opening.abort();
    this.opening = new AbortController();
    this.prefetch?.stop();
    this.stop();
    const { signal: asked } = this.opening;
    batch(() => {
      this.series.value = series;
      this.frames.value = [];
      this.shown.value = null;
      this.loaded.value = 0;
      this.failure.value = null;
      this.window.value = null;
      this.asked.value = null;
      this.picture.value = sop ? frameUrl(series, sop, frame) : seriesUrl(series);
    });
    if (series.kind === 'document') return;
    try {
      const frames = await readFrames(series, asked);
      const named = frames.findIndex((each) => each.sop === sop && each.frame === frame);
      batch(() => {
        this.frames.value = frames;
        this.index.value = named >= 0 ? named : Math.floor(frames.length / 2);
        this.window.value = this.windows.value[0] ?? null;
      });
      if (this.view) await this.display();
    } catch (error) {
      if (!asked.aborted) this.failure.value = error instanceof Error ? error.message : String(error);
    }
  }

  private async display(): Promise<void> {
    const frames = this.frames.value;
    const { signal: asked } = this.opening;
    if (!this.view || !this.viewer || !frames.length) return;
    this.viewer.describe(frames);
    const index = this.index.value;
    try {
      await this.view.show(frames, index);
    } catch {
      if (asked.aborted) return;
      this.picture.value = this.frame.value?.url ?? null;
      this.failure.value = 'This image cannot be decoded here; the server draws it.';
      return;
    }
    if (asked.aborted) return;
    this.shown.value = frames[index] ?? null;
    if (this.asked.value) this.view.setWindow(this.asked.value);
    this.seen();
    void this.move();
    const { fetchFrame } = this.viewer;
    this.prefetch = new Prefetch(frames, fetchFrame, () => this.index.value, (count) => (this.loaded.value = count));
    void this.prefetch.run();
  }

  private seen(): void {
    const { view } = this;
    if (!view || !this.shown.value) return;
    batch(() => {
      this.matrix.value = view.matrix;
      this.window.value = view.window;
      this.inverted.value = view.inverted;
    });
  }

  goTo(index: number): void {
    this.index.value = Math.max(0, Math.min(this.frames.peek().length - 1, Math.round(index)));
    if (this.shown.peek()) void this.move();
    else this.picture.value = this.frame.value?.url ?? this.picture.value;
  }

  /** Shows with a window: the frame, or what stands in for it until the frame is there. */
  setWindow(window: Window): void {
    if (this.view && this.shown.peek()) return this.view.setWindow(window);
    batch(() => {
      this.window.value = window;
      this.asked.value = window;
      this.picture.value = this.frame.value?.url ?? this.picture.value;
    });
  }

  /** The window with which the series was opened. */
  resetWindow(): void {
    const first = this.windows.value[0];
    if (this.view && this.shown.peek()) this.view.resetWindow();
    else if (first) this.setWindow(first);
  }

  step(by: number): void {
    this.goTo(this.index.peek() + by);
  }

  /** Goes to the frame that was asked for last; those that were asked for meanwhile are left out. */
  private async move(): Promise<void> {
    if (this.moving || !this.view) return;
    this.moving = true;
    try {
      while (this.shown.value !== this.frame.value && this.frame.value && this.shown.value) {
        const frame = this.frame.value;
        await this.view.goTo(this.index.value);
        this.shown.value = frame;
        this.failure.value = null;
        this.seen();
      }
    } catch {
      this.picture.value = this.frame.value?.url ?? null;
      this.failure.value = 'This image cannot be read or decoded.';
    } finally {
      this.moving = false;
    }
  }

  /** Goes to the frame of an image of this series; false when it has none. */
  goToImage(sop: string, frame = 1): boolean {
    const index = this.frames.value.findIndex((each) => each.sop === sop && each.frame === frame);
    if (index < 0) return false;
    this.goTo(index);
    return true;
  }

  play(): void {
    if (this.playing.value || this.frames.value.length < 2) return this.stop();
    this.playing.value = true;
    this.timer = window.setInterval(() => {
      if (!this.moving) this.goTo((this.index.value + 1) % this.frames.value.length);
    }, 1000 / CINE_FRAMES_PER_SECOND);
  }

  stop(): void {
    clearInterval(this.timer);
    this.playing.value = false;
  }
}
