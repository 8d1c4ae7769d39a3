import type { InitiatorEffect } from '../../src/pairing/initiator-state.ts'
import type { JoinerEffect } from '../../src/pairing/joiner-state.ts'
import { maxTries } from '../../src/pairing/limits.ts'
import type { PairingMessage } from '../../src/pairing/pairing-messages.ts'
import { dueAt, initiatorName, outsiderName, type InitiatorRun, type JoinerRun } from './machines.ts'
import { launch, setTruth, stateOf, truthOf, type Setting } from './setting.ts'
import { store } from './trust-rows.ts'
import { at, machineAt, rowAt, writeAt, type World, type Write } from './world.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

interface Runs {
  before: InitiatorRun | JoinerRun
  after: InitiatorRun | JoinerRun
}

const calledOff = 'a pairing that was called off leaves no row'

export interface Outcome {
  next: number[]
  answer: PairingMessage | null
  /** Whether the step forgot a row, which a disk may fail to do. */
  forgets: boolean
  /** Which invariant the step broke. */
  violation: string | null
}

/**
 * Brings an event to a device's machine and does what it says, as the shell does; and watches: every invariant about
 * a single step is checked here, against the truth and not against what the machine believes.
 */
export function deliver(
  setting: Setting,
  world: World,
  device: PeerId,
  event: number,
  forgetFails = false,
): Outcome {
  const { table } = setting
  const next = [...world]
  const running = at(world, machineAt(device))
  if (running === 0) return { next, answer: null, forgets: false, violation: null }
  const step =
    device === initiatorName ? table.stepInitiator(running, event) : table.stepJoiner(running, event)
  next[machineAt(device)] = step.id
  const outcome: Outcome = { next, answer: null, forgets: false, violation: null }
  for (const effect of step.effects) perform(setting, outcome, device, step, effect, forgetFails)
  if (!forgetFails) outcome.violation ??= leftover(setting, next, device, step)
  return outcome
}

/** The device's disk has done what it was asked: the row is there, then the machine hears of it. */
export function completeWrite(setting: Setting, world: World, device: PeerId, forgetFails = false): Outcome {
  const { table, tables } = setting
  const write = tables.writes.valueOf(at(world, writeAt(device)))
  const { next, violation } = store(setting, world, device)
  const before = stateOf(setting, next, device)
  const outcome = deliver(setting, next, device, table.plainEvent('persisted'), forgetFails)
  const off = before?.phase === 'ended' || before?.phase === 'failed'
  const row = write?.row === 'provisional' ? at(outcome.next, rowAt(device, write.pair.peer)) : 0
  const kept = off && row !== 0 && !forgetFails ? calledOff : null
  return { ...outcome, violation: violation ?? outcome.violation ?? kept }
}

function perform(
  setting: Setting,
  outcome: Outcome,
  device: PeerId,
  { before, after }: Runs,
  effect: InitiatorEffect | JoinerEffect,
  forgetFails: boolean,
): void {
  const { tables, scenario } = setting
  const { next } = outcome
  const due = dueAt(before.state)
  const late = due !== null && before.now >= due
  const truth = truthOf(setting, next)
  const blame = (violation: string): void => {
    outcome.violation ??= violation
  }
  switch (effect.type) {
    case 'answer': {
      outcome.answer = effect.message
      if (effect.message.type === 'Challenge' && before.state !== after.state) {
        setTruth(setting, next, { challenges: truth.challenges + 1 })
        if (truth.challenges >= maxTries) blame('at most 8 Challenges per invitation')
      }
      return
    }
    case 'ask':
      if (device !== initiatorName) return
      if (truth.winner !== '') blame('at most one winner')
      if (late) blame('an expired code pairs nobody')
      setTruth(setting, next, { winner: effect.peer })
      return
    case 'persist': {
      const isAsked = before.state.phase === 'approving' || before.state.phase === 'deciding'
      if (late && isAsked) blame('a yes after the deadline counts for nothing')
      if (at(next, writeAt(device)) !== 0) blame('one write at a time')
      const write: Write =
        effect.row === 'active'
          ? { row: 'active', peer: effect.pair.peer }
          : { row: 'provisional', pair: effect.pair }
      next[writeAt(device)] = tables.writes.idOf(write)
      return
    }
    case 'forget': {
      const place = rowAt(device, effect.pair.peer)
      if (tables.rows.valueOf(at(next, place))?.state !== 'provisional') return
      outcome.forgets = true
      if (!forgetFails) next[place] = 0
      return
    }
    case 'send':
    case 'ask-peer': {
      // What goes to the outsider need not travel: she can answer at any moment anyway.
      if (effect.peer === outsiderName || !scenario.initiator) return
      const kind = effect.type === 'send' ? 'tell' : 'ask'
      const joiner = device === initiatorName ? effect.peer : device
      launch(setting, next, joiner, { kind, from: device, to: effect.peer, message: effect.message })
      return
    }
    case 'show-digits': {
      const responses = (truth.responses[device] ?? 0) + 1
      setTruth(setting, next, { responses: { ...truth.responses, [device]: responses } })
      if (responses > maxTries * (1 + scenario.joinsAgain)) blame('at most 8 Responses per join')
      return
    }
    case 'repeat':
      if (effect.message.type === 'Confirmed' && truth.wrote[`${device}>${effect.peer}`] === undefined)
        blame('the row is durable before the message that promises it')
      return
    case 'finished':
      if (effect.outcome === 'ended' && effect.reason === 'burnt') {
        if (!truth.misused && truth.challenges < maxTries) blame('only misuse burns a code')
      }
      if (effect.outcome !== 'paired') return
      if (tables.rows.valueOf(at(next, rowAt(device, effect.peer)))?.state !== 'active')
        blame('whoever reports a pairing has it')
      return
    case 'silence':
    case 'waiting':
      return
  }
}

/** What the initiator answers must be durable by then. */
export function checkAnswer(
  setting: Setting,
  world: World,
  to: PeerId,
  message: PairingMessage['type'],
  answer: PairingMessage | null,
): string | null {
  const truth = truthOf(setting, world)
  if (answer?.type === 'Complete' && truth.wrote[`${initiatorName}>${to}`] === undefined) {
    return 'the row is durable before the message that promises it'
  }
  const early = answer?.type === 'Acknowledged' && message === 'Confirmed'
  return early && !truth.activated.includes(`${initiatorName}>${to}`)
    ? 'the row is durable before the message that promises it'
    : null
}

/** A pairing that was called off leaves no row behind, unless the disk failed to drop it. */
function leftover({ tables }: Setting, next: World, device: PeerId, { before, after }: Runs): string | null {
  const off = after.state.phase === 'ended' || after.state.phase === 'failed'
  if (!off || !('agreement' in before.state) || at(next, writeAt(device)) !== 0) return null
  const row = tables.rows.valueOf(at(next, rowAt(device, before.state.agreement.pair.peer)))
  return row?.state === 'provisional' ? calledOff : null
}
