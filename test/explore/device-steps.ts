import { completeWrite } from './effects.ts'
import { emitDelivery, emitEvent, type Emit } from './emit.ts'
import { dueAt, initiatorName } from './machines.ts'
import { setTruth, stateOf, truthOf, type Setting } from './setting.ts'
import { store } from './trust-rows.ts'
import { at, devicesOf, machineAt, rowAt, writeAt } from './world.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

/** What happens inside one device: its clock, its person, its disk, its end. */

export function timeSteps(setting: Setting, world: number[], device: PeerId, emit: Emit): void {
  const { table } = setting
  const place = machineAt(device)
  const id = at(world, place)
  if (id === 0) return
  const isInitiator = device === initiatorName
  const run = isInitiator ? table.initiator(id) : table.joiner(id)
  const due = run === null ? null : dueAt(run.state)
  if (run === null || due === null) return
  if (run.now >= due) {
    emitEvent(setting, world, emit, 'time', `${device}: the timer fires`, device, table.plainEvent('tick'))
    return
  }
  const next = [...world]
  next[place] =
    'device' in run ? table.idOfJoiner({ ...run, now: due }) : table.idOfInitiator({ ...run, now: due })
  emit('time', `${device}: the deadline of '${run.state.phase}' comes`, next, null)
}

export function personSteps(setting: Setting, world: number[], device: PeerId, emit: Emit): void {
  const { table, scenario } = setting
  const id = at(world, machineAt(device))
  if (id === 0) return
  const run = device === initiatorName ? table.initiator(id) : table.joiner(id)
  if (run === null) return
  const { asking } = run
  if (asking !== null && mayApprove(setting, world, device, asking.digits)) {
    const marked = [...world]
    const { approved } = truthOf(setting, world)
    setTruth(setting, marked, { approved: { ...approved, [device]: asking.peer } })
    emitEvent(
      setting,
      marked,
      emit,
      'progress',
      `${device}: its person says yes`,
      device,
      table.plainEvent('approved'),
    )
  }
  if (!scenario.faults) return
  if (asking !== null) {
    emitEvent(
      setting,
      world,
      emit,
      'fault',
      `${device}: its person says no`,
      device,
      table.plainEvent('declined'),
    )
  }
  emitEvent(
    setting,
    world,
    emit,
    'fault',
    `${device}: its person calls it off`,
    device,
    table.plainEvent('cancelled'),
  )
}

export function diskSteps(setting: Setting, world: number[], device: PeerId, emit: Emit): void {
  const { table, tables, scenario } = setting
  const write = tables.writes.valueOf(at(world, writeAt(device)))
  if (write !== null) {
    const peer = write.row === 'active' ? write.peer : write.pair.peer
    const row = tables.rows.valueOf(at(world, rowAt(device, peer)))
    const possible = write.row === 'provisional' || (row !== null && row.state !== 'needs-pairing')
    if (possible) {
      emitDelivery(setting, emit, 'progress', `${device}: the ${write.row} row is durable`, (forgetFails) =>
        completeWrite(setting, world, device, forgetFails),
      )
    }
    if (scenario.faults || !possible) {
      const failed = [...world]
      failed[writeAt(device)] = 0
      const label = `${device}: the ${write.row} row cannot be written`
      emitEvent(
        setting,
        failed,
        emit,
        possible ? 'fault' : 'progress',
        label,
        device,
        table.plainEvent('persist-failed'),
      )
    }
    if (scenario.faults && possible) {
      const stored = store(setting, world, device)
      stored.next[machineAt(device)] = 0
      emit(
        'fault',
        `${device}: crashes and restarts; the ${write.row} row is there`,
        stored.next,
        stored.violation,
      )
    }
  }
  if (!scenario.faults || at(world, machineAt(device)) === 0) return
  const next = [...world]
  next[machineAt(device)] = 0
  next[writeAt(device)] = 0
  emit('fault', `${device}: crashes and restarts`, next, null)
}

/** A careful person says yes only to digits that the device in her other hand shows as well. */
function mayApprove(setting: Setting, world: number[], device: PeerId, digits: string): boolean {
  if (!setting.scenario.peopleCompare) return true
  return devicesOf(setting.scenario).some((other) => {
    if (other === device || (device !== initiatorName && other !== initiatorName)) return false
    return digitsShown(setting, world, other) === digits
  })
}

function digitsShown(setting: Setting, world: number[], device: PeerId): string | null {
  const state = stateOf(setting, world, device)
  if (state === null) return null
  if ('winner' in state) return state.winner?.digits ?? null
  if ('exchange' in state) return state.exchange.digits
  if (!('agreement' in state)) return null
  const { agreement } = state
  return 'winner' in agreement ? agreement.winner.digits : agreement.exchange.digits
}
