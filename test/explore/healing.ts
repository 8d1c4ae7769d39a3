import type { Setting } from './setting.ts'
import { activate } from './trust-rows.ts'
import { dueAt, initiatorName, joinerNames, outsiderName } from './machines.ts'
import type { Emit } from './emit.ts'
import { at, initiatorAt, machineAt, placesOf, rowAt, writeAt, type Subject, type World } from './world.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

/** What the node does later by itself: sessions between devices that hold a row, and the end of provisional rows. */
export function healings(
  setting: Setting,
  subject: Subject,
  world: World,
  devices: readonly PeerId[],
  emit: Emit,
): void {
  if (!subject.heals) return
  for (const device of devices) {
    if (device === initiatorName) continue
    if (devices.includes(initiatorName)) {
      sessionHello(setting, world, device, initiatorName, emit)
      sessionHello(setting, world, initiatorName, device, emit)
    }
  }
  for (const device of devices) sevenDays(setting, world, device, emit)
}

/** The dialer asks with the key of its row; the listener proves that it holds the same, or does not know the dialer. */
function sessionHello(setting: Setting, world: World, dialer: PeerId, listener: PeerId, emit: Emit): void {
  const { tables } = setting
  const own = tables.rows.valueOf(at(world, rowAt(dialer, listener)))
  const other = tables.rows.valueOf(at(world, rowAt(listener, dialer)))
  if (own === null || own.state === 'needs-pairing') return
  const label = `${dialer} -> ${listener}  session hello`
  if (other === null || other.state === 'needs-pairing' || other.key !== own.key) {
    const next = [...world]
    const kept = own.state === 'active' ? tables.rows.idOf({ ...own, state: 'needs-pairing' }) : 0
    next[rowAt(dialer, listener)] = kept
    emit('heal', `${label}: unknown device`, next, null)
    return
  }
  if (own.state === 'active' && other.state === 'active') return
  const half = [...world]
  const first = own.state === 'active' ? null : activate(setting, half, dialer, listener, 'hello')
  if (own.state !== 'active') emit('fault', `${label}: breaks off after the listener's proof`, half, first)
  const both = [...half]
  const second = other.state === 'active' ? null : activate(setting, both, listener, dialer, 'hello')
  emit('heal', label, both, first ?? second)
}

/** Provisional rows end; by then the machine that wrote them is long over. */
function sevenDays(setting: Setting, world: World, device: PeerId, emit: Emit): void {
  const { tables } = setting
  if (!isOver(setting, world, device) || at(world, writeAt(device)) !== 0) return
  const next = [...world]
  let dropped = false
  for (const peer of rowsOf(setting, device)) {
    if (tables.rows.valueOf(at(world, rowAt(device, peer)))?.state !== 'provisional') continue
    next[rowAt(device, peer)] = 0
    dropped = true
  }
  if (dropped) emit('heal', `${device}: seven days pass`, next, null)
}

/** Whether nothing that this device still runs can change a row by itself. */
export function isOver({ table }: Setting, world: World, device: PeerId): boolean {
  const id = at(world, machineAt(device))
  if (device !== initiatorName || id === 0) return id === 0
  const state = table.initiator(id)?.state
  const ended = state?.phase === 'ended' || state?.phase === 'paired' || state?.phase === 'unconfirmed'
  return ended && dueAt(state) === null
}

/** Both trust each other with one key, or neither trusts the other. */
export function agree(setting: Setting, world: World, joiners: readonly PeerId[]): boolean {
  const { tables } = setting
  return joiners.every((joiner) => {
    const a = tables.rows.valueOf(at(world, rowAt(initiatorName, joiner)))
    const b = tables.rows.valueOf(at(world, rowAt(joiner, initiatorName)))
    const active = a?.state === 'active'
    return active === (b?.state === 'active') && (!active || a.key === b?.key)
  })
}

/** Every machine is over, nothing is being written, and no row is provisional. */
export function isQuiet(setting: Setting, world: World, devices: readonly PeerId[]): boolean {
  const { tables } = setting
  return devices.every(
    (device) =>
      isOver(setting, world, device) &&
      at(world, writeAt(device)) === 0 &&
      rowsOf(setting, device).every(
        (peer) => tables.rows.valueOf(at(world, rowAt(device, peer)))?.state !== 'provisional',
      ),
  )
}

/**
 * Whether this joiner and the initiator are in the middle of one pairing and nothing has gone wrong for them yet: then
 * the machines alone must be able to finish it.
 */
export function isUnderWay({ table, tables }: Setting, world: World, joiner: PeerId): boolean {
  const a = table.initiator(at(world, initiatorAt.machine))
  const b = table.joiner(at(world, placesOf(joiner).machine))
  if (a === null || b === null) return false
  const [dueA, dueB] = [dueAt(a.state), dueAt(b.state)]
  if ((dueA !== null && a.now >= dueA) || (dueB !== null && b.now >= dueB)) return false
  const winner =
    'agreement' in a.state ? a.state.agreement.winner : 'winner' in a.state ? a.state.winner : null
  if (winner?.attempt.peer !== joiner || a.state.phase === 'ended') return false
  const exchange =
    'exchange' in b.state ? b.state.exchange : 'agreement' in b.state ? b.state.agreement.exchange : null
  if (exchange === null || !same(exchange.responded, winner.responded)) return false
  const own = tables.rows.valueOf(at(world, rowAt(initiatorName, joiner)))
  const other = tables.rows.valueOf(at(world, rowAt(joiner, initiatorName)))
  const isWaiting = a.state.phase === 'approving' || a.state.phase === 'persisting'
  const isWritten = b.state.phase === 'confirming' || b.state.phase === 'activating'
  const ownIntact = isWaiting || (own !== null && own.state !== 'needs-pairing')
  return ownIntact && (!isWritten || (other !== null && other.state !== 'needs-pairing'))
}

function rowsOf({ scenario }: Setting, device: PeerId): PeerId[] {
  const peers = device === initiatorName ? joinerNames.slice(0, scenario.joiners) : [initiatorName]
  return [...peers, outsiderName]
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, index) => byte === b[index])
}
