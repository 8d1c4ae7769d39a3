/** Gives equal values one small number each, so that a state of the world is a short list of numbers. */
export class Interner<Value> {
  readonly #ids = new Map<string, number>()
  readonly #values: Value[] = []
  readonly #textOf: (value: Value) => string

  /** Zero stands for `none`. */
  constructor(none: Value, textOf: (value: Value) => string) {
    this.#textOf = textOf
    this.idOf(none)
  }

  idOf(value: Value): number {
    const text = this.#textOf(value)
    const known = this.#ids.get(text)
    if (known !== undefined) return known
    const id = this.#values.length
    if (id > 0xffff) throw new RangeError('more than 65,536 values: the bounds are too wide')
    this.#ids.set(text, id)
    this.#values.push(value)
    return id
  }

  valueOf(id: number): Value {
    const value = this.#values[id]
    if (value === undefined) throw new RangeError(`nothing is numbered ${id}`)
    return value
  }
}

/** Computes once per pair of numbers. */
export class PairMemo<Value> {
  readonly #known = new Map<number, Value>()
  readonly #compute: (a: number, b: number) => Value

  constructor(compute: (a: number, b: number) => Value) {
    this.#compute = compute
  }

  get(a: number, b: number): Value {
    const key = a * 0x10000 + b
    let value = this.#known.get(key)
    if (value === undefined) {
      value = this.#compute(a, b)
      this.#known.set(key, value)
    }
    return value
  }
}
