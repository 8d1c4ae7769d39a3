import { deliver, type Outcome } from './effects.ts'
import type { Setting } from './setting.ts'
import type { PeerId } from '../../src/pairing/peer-id.ts'

/**
 * What kind of step leads from one state to the next: `progress` is what happens when nobody disturbs, `time` that a
 * deadline comes, `heal` what the node does later by itself, `fault` everything that goes wrong and every no.
 */
export type StepKind = 'progress' | 'time' | 'heal' | 'fault'
export type Emit = (kind: StepKind, label: string, next: number[], violation: string | null) => void

/** Delivers an event; where the step drops a row, the disk may also fail to. */
export function emitDelivery(
  setting: Setting,
  emit: Emit,
  kind: StepKind,
  label: string,
  run: (forgetFails: boolean) => Outcome,
): void {
  const outcome = run(false)
  emit(kind, label, outcome.next, outcome.violation)
  if (!outcome.forgets || !setting.scenario.faults) return
  const failed = run(true)
  emit('fault', `${label}; the row cannot be dropped`, failed.next, failed.violation)
}

export function emitEvent(
  setting: Setting,
  world: number[],
  emit: Emit,
  kind: StepKind,
  label: string,
  device: PeerId,
  event: number,
): void {
  emitDelivery(setting, emit, kind, label, (forgetFails) =>
    deliver(setting, world, device, event, forgetFails),
  )
}
