/** Figures of a run: by row and subject, one value for each round; null where it failed. */
export class Results {
  readonly #values = new Map<string, Map<string, (number | null)[]>>()

  add(row: string, subject: string, round: number, value: number | null): void {
    const subjects = this.#values.get(row) ?? new Map<string, (number | null)[]>()
    this.#values.set(row, subjects)
    const values = subjects.get(subject) ?? []
    subjects.set(subject, values)
    while (values.length < round) values.push(null)
    values[round] = value
  }

  subjects(row: string): string[] {
    return [...(this.#values.get(row)?.keys() ?? [])]
  }

  /** Values with NaN for rounds that failed: their places tell which rounds belong together. */
  rounds(row: string, subject: string): number[] {
    return (this.#values.get(row)?.get(subject) ?? []).map((value) => value ?? Number.NaN)
  }

  /** Values of the rounds that did not fail. */
  values(row: string, subject: string): number[] {
    return this.rounds(row, subject).filter((value) => !Number.isNaN(value))
  }

  toJSON(): Record<string, Record<string, (number | null)[]>> {
    return Object.fromEntries([...this.#values].map(([row, subjects]) => [row, Object.fromEntries(subjects)]))
  }
}
