/**
 * Frames that did not come, where the way may lose, reorder and repeat them: a hole counts as soon as a later frame is
 * there, and no longer once its own frame comes after all. Pure.
 */
export class Losses {
  #newest = -1;
  #lost = 0;
  /** Holes that may still be filled; the oldest is given up first. */
  readonly #holes = new Set<number>();
  static readonly #MOST_HOLES = 128;

  /** @param discontinuity the frame says that there are none right before it */
  arrived(sequence: number, discontinuity: boolean): void {
    if (sequence <= this.#newest) {
      if (this.#holes.delete(sequence)) this.#lost -= 1;
      return;
    }
    if (this.#newest >= 0 && !discontinuity) {
      const missing = sequence - this.#newest - 1;
      this.#lost += missing;
      const watched = Math.min(missing, Losses.#MOST_HOLES);
      for (let hole = sequence - watched; hole < sequence; hole += 1) this.#holes.add(hole);
      for (const hole of this.#holes) {
        if (this.#holes.size <= Losses.#MOST_HOLES) break;
        this.#holes.delete(hole);
      }
    }
    this.#newest = sequence;
  }

  get lost(): number {
    return this.#lost;
  }
}
