import type { PeerId } from '../../src/pairing/peer-id.ts'
import type { Statement } from '../../src/set/statement.ts'
import { identity } from './devices.ts'

/** Names records so that those have one name that differ by the names of devices alone. */
export class CanonicalForms {
  readonly #orders: Map<PeerId, string>[]

  constructor(all: readonly string[]) {
    this.#orders = permutations(all).map(
      (order) => new Map(order.map((name, index) => [identity(name), String(index)])),
    )
  }

  of(statements: readonly Statement[]): string {
    let least: string | undefined
    for (const order of this.#orders) {
      const form = formOf(statements, order)
      if (least === undefined || form < least) least = form
    }
    return least ?? ''
  }
}

function formOf(statements: readonly Statement[], order: ReadonlyMap<PeerId, string>): string {
  const forms = new Map<string, string>()
  for (const statement of statements) {
    const { id, kind, signers, predecessors } = statement
    const signed = signers.map(({ peer, number }) => `${order.get(peer) ?? ''}${number}`)
    // Signers of a link stand in an order that follows from their names.
    if (kind === 'link') signed.sort()
    const target = kind === 'link' ? '' : (order.get(statement.target) ?? '')
    const before = predecessors.map((each) => forms.get(each) ?? '').sort()
    forms.set(id, `${kind[2]}${signed.join('')}${target}(${before.join('')})`)
  }
  return [...forms.values()].sort().join(' ')
}

function permutations<Value>(values: readonly Value[]): Value[][] {
  if (values.length === 0) return [[]]
  return values.flatMap((value, index) =>
    permutations(values.toSpliced(index, 1)).map((rest) => [value, ...rest]),
  )
}
