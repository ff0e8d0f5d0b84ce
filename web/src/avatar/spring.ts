/**
 * Critically damped springs, one a value, with the exact solution of x'' = -ω²(x − goal) − 2ω·x' over a step
 * (ω = 2 / settling constant), so that any frame rate gives the same motion.
 */
export class Springs {
  readonly values: Float32Array;
  readonly #velocities: Float32Array;

  constructor(count: number) {
    this.values = new Float32Array(count);
    this.#velocities = new Float32Array(count);
  }

  /** Moves value `i` towards `goal` for `dt` seconds; `tau` seconds is about the lag behind a moving goal. After ∞ it is there. */
  step(i: number, goal: number, dt: number, tau: number): void {
    if (tau <= 0 || dt === Number.POSITIVE_INFINITY) {
      this.values[i] = goal;
      this.#velocities[i] = 0;
      return;
    }
    const omega = 2 / tau;
    const decay = Math.exp(-omega * dt);
    const offset = (this.values[i] as number) - goal;
    const drive = (this.#velocities[i] as number) + omega * offset;
    this.values[i] = goal + (offset + drive * dt) * decay;
    this.#velocities[i] = ((this.#velocities[i] as number) - omega * drive * dt) * decay;
  }
}
