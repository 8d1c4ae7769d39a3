import assert from 'node:assert/strict'
import type { TestDevice } from '../../device.ts'
import type { ForeignDevice } from '../foreign-device.ts'

/** Where a daemon of ours can be dialled. */
export async function firstAddressOf(device: TestDevice): Promise<string> {
  const [address] = (await device.status()).listen ?? []
  return address ?? assert.fail(`${device.name} listens nowhere`)
}

/** Options of `join` that name the foreign device's addresses. */
export function peerOptions(device: ForeignDevice): string[] {
  return device.addresses.flatMap((address) => ['--peer', address])
}
