/** Fetches the frames of a stack in the order in which the eye needs them: from the one that is seen outwards. */
import type { Frame } from './series';

/** As many as a browser opens connections to one server. */
const AT_ONCE = 6;

export class Prefetch {
  private readonly waiting: Set<number>;
  private stopped = false;
  failed = 0;

  constructor(
    private readonly frames: Frame[],
    private readonly fetch: (frame: Frame) => Promise<void>,
    private readonly seen: () => number,
    private readonly progressed: (loaded: number) => void,
  ) {
    this.waiting = new Set(frames.keys());
  }

  /** Resolves when every frame was fetched, or cannot be had. */
  async run(): Promise<void> {
    await Promise.all(Array.from({ length: AT_ONCE }, () => this.work()));
  }

  stop(): void {
    this.stopped = true;
  }

  private async work(): Promise<void> {
    for (let index = this.next(); index !== undefined && !this.stopped; index = this.next()) {
      this.waiting.delete(index);
      const frame = this.frames[index];
      try {
        if (frame) await this.fetch(frame);
      } catch {
        this.failed += 1;
      }
      this.progressed(this.frames.length - this.waiting.size);
    }
  }

  private next(): number | undefined {
    const seen = this.seen();
    let best: number | undefined;
    for (const index of this.waiting) {
      if (best === undefined || Math.abs(index - seen) < Math.abs(best - seen)) best = index;
    }
    return best;
  }
}
