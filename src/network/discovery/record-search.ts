import {
  decodeAddressRecord,
  recordRoutingKey,
  type AddressRecordContent,
  type RecordKeys,
} from '../../pairing/address-record.ts'
import { startDeadline } from '../deadline.ts'
import type { RecordParts } from './record-parts.ts'

export interface FoundRecord {
  content: AddressRecordContent
  sequence: bigint
}

export interface RecordSearchOptions {
  above: bigint
  signal: AbortSignal
  /** Called when a holder of the keys has written a record that this version cannot read; may be repeated for the same one. */
  onOtherVersion?: ((version: number) => void) | undefined
}

/**
 * Looks once for a record with a higher sequence than `above`: yields the first that a holder of the keys wrote, and newer ones
 * that come within a moment. Anything else that the DHT holds under this key is passed over.
 */
export async function* newerRecords(
  { client, suite, clock, log }: Pick<RecordParts, 'client' | 'suite' | 'clock' | 'log'>,
  keys: RecordKeys,
  { above, signal, onOtherVersion }: RecordSearchOptions,
): AsyncGenerator<FoundRecord> {
  const looking = startDeadline(lookupTimeoutMs, () => new Error('the lookup took too long'), { signal })
  let newest = above
  let cancelWatch: (() => void) | undefined
  const seen = new Set<string>()
  try {
    const routingKey = await recordRoutingKey(keys)
    for await (const encoded of client.lookup(routingKey, { signal: looking.signal })) {
      // Copies are skipped: most nodes hold the same record.
      const text = Buffer.from(encoded).toString('base64')
      if (seen.has(text)) continue
      seen.add(text)
      const record = await decodeAddressRecord(suite, keys, encoded)
      if (record !== null && 'otherVersion' in record) onOtherVersion?.(record.otherVersion)
      if (record === null || 'otherVersion' in record || record.sequence <= newest) continue
      newest = record.sequence
      cancelWatch ??= clock.after(watchMs, () => looking.abort(new Error('found')))
      yield record
    }
  } catch (error) {
    log('debug', 'dht.lookup-failed', { error: String(error) })
  } finally {
    cancelWatch?.()
    looking.stop()
  }
}

const lookupTimeoutMs = 20_000
/** Time to wait for a newer record after the first. */
const watchMs = 1_500
