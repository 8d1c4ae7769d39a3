import type { Notice } from '../api.ts'
import type { Store } from '../store/store.ts'

/** Matters that a person should know of, as they are now. */
export class Notices {
  readonly #store: Pick<Store, 'trust'>

  constructor(store: Pick<Store, 'trust'>) {
    this.#store = store
  }

  list(): Notice[] {
    return [...this.#unwrittenRevocations()]
  }

  #unwrittenRevocations(): Notice[] {
    const names = this.#store.trust.unwritten().map((name) => `"${name}"`)
    if (names.length === 0) return []
    return [
      {
        code: 'revocation-unwritten',
        message: `${names.join(', ')}: cut off, but that could not be written to the disk.`,
        hint: 'Make room on the disk, or make it writable, before Spacedock is started anew.',
      },
    ]
  }
}
