import type { Patch } from './threat.ts'

/** What keeps a message from being stored twice, taken out. */
export const withoutSeenIds: readonly Patch[] = [
  {
    file: 'src/store/inbox.ts',
    find: `if (known !== undefined) return { outcome`,
    replace: `if (known !== undefined && id === '') return { outcome`,
  },
  { file: 'src/store/seen-ids.ts', find: `INSERT INTO seen`, replace: `INSERT OR REPLACE INTO seen` },
]

/** What keeps a message in the outbox until it has arrived, taken out. */
export const withoutWaitingForReceipts: readonly Patch[] = [
  {
    file: 'src/protocols/messaging.ts',
    find: `      const { name, version } = this.protocol\n`,
    replace: `      this.#components.outbox.remove(ids)\n      const { name, version } = this.protocol\n`,
  },
]
