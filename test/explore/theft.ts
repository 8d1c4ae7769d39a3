import { arrivalOf, type Flight } from './arrival.ts'
import { checkAnswer, deliver, type Outcome } from './effects.ts'
import { setTruth, truthOf, type Setting } from './setting.ts'
import { PairMemo } from './interner.ts'
import { dueAt, initiatorName, outsiderName } from './machines.ts'
import type { Emit } from './emit.ts'
import { sayingsToInitiator, sayingsToJoiner, type Saying } from './thief.ts'
import { at, machineAt, type World } from './world.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

interface Deed extends Saying {
  event: number
  label: string
}

/** The steps of a thief of the code. She may win; what must hold all the same is checked at each of them. */
export class Theft {
  readonly #setting: Setting
  readonly #toInitiator: PairMemo<readonly Deed[]>
  readonly #toJoiner: PairMemo<readonly Deed[]>

  constructor(setting: Setting) {
    const { table, scenario } = setting
    this.#setting = setting
    this.#toInitiator = new PairMemo((machine) => {
      const state = table.initiator(machine)?.state
      const sayings = state === undefined ? [] : sayingsToInitiator(table, state, scenario.thiefOpenings)
      return sayings.flatMap((saying) => this.#deeds(saying, initiatorName))
    })
    this.#toJoiner = new PairMemo((machine) => {
      const run = table.joiner(machine)
      return run === null
        ? []
        : sayingsToJoiner(table, run).flatMap((saying) => this.#deeds(saying, run.device))
    })
  }

  act(world: World, devices: readonly PeerId[], emit: Emit): void {
    for (const device of devices) {
      const machine = at(world, machineAt(device))
      const deeds = device === initiatorName ? this.#toInitiator : this.#toJoiner
      const tired = truthOf(this.#setting, world).challenges >= this.#setting.scenario.thiefRequests
      for (const deed of deeds.get(machine, 0)) {
        if (tired && deed.message.type === 'PairingRequest') continue
        const { next, violation } = this.#do(world, device, deed)
        emit('fault', deed.label, next, violation)
      }
    }
  }

  #do(world: World, device: PeerId, deed: Deed): Outcome {
    const marked = [...world]
    if (device === initiatorName && deed.isForbidden) setTruth(this.#setting, marked, { misused: true })
    const outcome = deliver(this.#setting, marked, device, deed.event)
    const { message } = deed
    if (device === initiatorName) {
      outcome.violation ??= checkAnswer(
        this.#setting,
        outcome.next,
        outsiderName,
        message.type,
        outcome.answer,
      )
    }
    if (deed.isForbidden) outcome.violation ??= this.#judge(world, outcome, device, deed)
    return outcome
  }

  /** A forbidden message gains nothing: it spends a code that was open, and changes nothing else. */
  #judge(world: World, { next }: Outcome, device: PeerId, { event, message }: Deed): string | null {
    const { table } = this.#setting
    const place = machineAt(device)
    const before =
      device === initiatorName ? table.initiator(at(world, place)) : table.joiner(at(world, place))
    const due = before === null ? null : dueAt(before.state)
    if (before === null || (due !== null && before.now >= due)) return null
    if (device !== initiatorName || before.state.phase !== 'open' || message.type !== 'Response') {
      return at(next, place) === at(world, place) ? null : 'a false message gains nothing'
    }
    const { state } = table.stepInitiator(at(world, place), event).after
    return state.phase === 'ended' && state.reason === 'burnt' ? null : 'misuse burns the code'
  }

  #deeds(saying: Saying, device: PeerId): Deed[] {
    const kinds: Flight['kind'][] =
      device === initiatorName ? ['ask'] : [saying.message.type === 'Cancel' ? 'tell' : 'answer']
    return kinds.flatMap((kind) => {
      const event = arrivalOf({ kind, from: outsiderName, to: device, message: saying.message })
      if (event === null) return []
      const how = saying.how === '' ? '' : ` ${saying.how}`
      const label = `${outsiderName} -> ${device}  ${saying.message.type}${how}`
      return [{ ...saying, event: this.#setting.table.eventId(event), label }]
    })
  }
}
