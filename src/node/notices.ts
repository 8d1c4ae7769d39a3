import type { Notice } from '../api.ts'
import type { Copies } from '../protocols/copies.ts'
import type { Store } from '../store/store.ts'
import type { DeviceRecords } from './device-records.ts'

export interface NoticesParts {
  store: Pick<Store, 'trust' | 'putBack'>
  copies: Pick<Copies, 'peers' | 'own'>
  records: Pick<DeviceRecords, 'nameOf'>
}

/** Matters that a person should know of, as they are now. */
export class Notices {
  readonly #store: Pick<Store, 'trust' | 'putBack'>

  readonly #copies: Pick<Copies, 'peers' | 'own'>
  readonly #records: Pick<DeviceRecords, 'nameOf'>

  constructor({ store, copies, records }: NoticesParts) {
    this.#store = store
    this.#copies = copies
    this.#records = records
  }

  list(): Notice[] {
    return [...this.#unwrittenRevocations(), ...this.#ownCopy(), ...this.#copiedDevices(), ...this.#putBack()]
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

  #putBack(): Notice[] {
    const { putBack } = this.#store
    if (putBack === null) return []
    const lastUsed = new Date(putBack.lastUsedAtMs).toISOString()
    return [
      {
        code: 'put-back',
        message: `The data directory is a copy, or was put back from a backup: its state is that of ${lastUsed}.`,
        hint:
          'What has arrived since then was acknowledged and is not here; devices paired or revoked since then have to be paired or revoked again. ' +
          'Where the original is in use, too, stop one of the two, and give it an empty directory: it is then another device.',
      },
    ]
  }

  #ownCopy(): Notice[] {
    const { own } = this.#copies
    if (own === undefined) return []
    const who = 'by' in own ? `"${this.#records.nameOf(own.by).name}" has seen it` : `seen at ${own.address}`
    return [
      {
        code: 'identity-elsewhere',
        message: `Another machine has the identity of this device (${who}): messages may reach either of the two.`,
        hint: 'On the machine that is the copy, stop Spacedock and move its data directory away; started anew, it is a device of its own, which can be paired.',
      },
    ]
  }

  #copiedDevices(): Notice[] {
    return this.#copies.peers().map((peer) => ({
      code: 'device-copied',
      message: `Two machines have the identity of "${this.#records.nameOf(peer).name}", as after its disk was cloned: messages for it wait.`,
      hint: 'On the machine that is the copy, stop Spacedock and move its data directory away; ten minutes later messages go out again.',
    }))
  }
}
