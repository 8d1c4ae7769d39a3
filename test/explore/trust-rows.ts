import { initiatorName, outsiderName } from './machines.ts'
import { setTruth, truthOf, type Setting } from './setting.ts'
import { at, keyOf, rowAt, writeAt, type World } from './world.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

/** The row alone: all that is left when the device crashes at the wrong moment. */
export function store(
  setting: Setting,
  world: World,
  device: PeerId,
): { next: number[]; violation: string | null } {
  const { tables } = setting
  const next = [...world]
  const write = tables.writes.valueOf(at(world, writeAt(device)))
  next[writeAt(device)] = 0
  if (write === null) return { next, violation: null }
  if (write.row === 'active') return { next, violation: activate(setting, next, device, write.peer, 'proof') }
  const { peer, acknowledgement } = write.pair
  const key = keyOf(write.pair)
  next[rowAt(device, peer)] = tables.rows.idOf({ state: 'provisional', key, acknowledgement })
  const truth = truthOf(setting, next)
  setTruth(setting, next, { wrote: { ...truth.wrote, [`${device}>${peer}`]: key } })
  if (peer === outsiderName && setting.scenario.outsider !== 'thief') {
    return { next, violation: 'a peer without the code is never trusted' }
  }
  if (peer === outsiderName && setting.scenario.peopleCompare) {
    return { next, violation: 'people who compare the digits trust nobody in between' }
  }
  if (truth.approved[device] !== peer)
    return { next, violation: 'no trust without the own person having said yes' }
  const wrong = device === initiatorName && truth.winner !== peer
  return { next, violation: wrong ? 'at most one winner' : null }
}

/** Makes a row active in `next`. Whoever is honest at the other end must have made the same pair key durable before. */
export function activate(
  setting: Setting,
  next: number[],
  device: PeerId,
  peer: PeerId,
  by: 'proof' | 'hello',
): string | null {
  const { tables } = setting
  const place = rowAt(device, peer)
  const row = tables.rows.valueOf(at(next, place))
  if (row === null) return 'activated without a row'
  next[place] = tables.rows.idOf({ ...row, state: 'active' })
  const truth = truthOf(setting, next)
  const activated = [...new Set([...truth.activated, `${device}>${peer}`])].toSorted()
  setTruth(setting, next, { activated })
  if (peer === outsiderName) return null
  if (truth.wrote[`${peer}>${device}`] !== row.key) return 'nobody active without a verified proof'
  const early = by === 'proof' && peer === initiatorName && !truth.activated.includes(`${peer}>${device}`)
  return early ? 'the joiner is active only after the initiator' : null
}
