import assert from 'node:assert/strict'
import type { SpacedockNode } from '../../src/api.ts'
import { SpacedockError } from '../../src/errors.ts'
import type { SimulatedDevice, Simulation } from '../../src/testing/index.ts'

/** Something that an application began with another device, or serves for it. */
interface Undertaking {
  what: string
  /** The two ends of one thing have the same. */
  id: string
  owner: SimulatedDevice
  other: SimulatedDevice
  /** The processes at that time: what they began ends with them. */
  processes: readonly [SpacedockNode, SpacedockNode | null]
  beganAtMs: number
  settledAtMs: number | null
}

/** Something that nobody waits for: it arrives, or is lost for a reason. */
interface Notice {
  what: string
  from: SimulatedDevice
  to: SimulatedDevice
  sentAtMs: number
  isThere: boolean
}

/** A reason for which what runs between devices may break. */
interface Disturbance {
  devices: readonly SimulatedDevice[]
  fromMs: number
  untilMs: number
}

/**
 * What is under way between simulated devices, and the rule: what was accepted ends well, or its owner is told, soon; and it is cut
 * only by what cuts it on a real network too. A better path, a second session, the end of a block are no such thing.
 */
export class Undertakings {
  readonly #simulation: Simulation
  readonly #all = new Set<Undertaking>()
  readonly #notices = new Set<Notice>()
  readonly #disturbances: Disturbance[] = []
  readonly #awakeSinceMs = new Map<SimulatedDevice, number>()
  readonly #goneSinceMs = new Map<SpacedockNode, number>()
  readonly #failures: string[] = []
  readonly counts = { begun: 0, well: 0, told: 0, notices: 0 }

  constructor(simulation: Simulation) {
    this.#simulation = simulation
  }

  /** Resolves with what it resolves to, and with undefined when its owner was told that it failed. */
  async begin<Result>(
    { what, id, owner, other }: Pick<Undertaking, 'what' | 'id' | 'owner' | 'other'>,
    run: () => Promise<Result>,
  ): Promise<Result | undefined> {
    const beganAtMs = this.#now()
    const processes = [owner.node, other.isRunning ? other.node : null] as const
    const undertaking: Undertaking = { what, id, owner, other, processes, beganAtMs, settledAtMs: null }
    this.#all.add(undertaking)
    this.counts.begun++
    try {
      const result = await run()
      this.counts.well++
      return result
    } catch (error) {
      this.counts.told++
      // Not accepted at all: there was no connection.
      const isAway = error instanceof SpacedockError && error.code === 'offline'
      const isOver = !this.#isAlive(undertaking)
      if (!(error instanceof SpacedockError)) this.#fail(undertaking, `fails with ${String(error)}`)
      if (!isAway && !isOver && !this.#isExcused([owner, other], beganAtMs, this.#now()))
        this.#fail(undertaking, `is cut for no reason: ${String(error)}`)
      return undefined
    } finally {
      undertaking.settledAtMs = this.#now()
    }
  }

  /** Returns what is called when it arrives. */
  notice(what: string, from: SimulatedDevice, to: SimulatedDevice): () => void {
    const notice: Notice = { what, from, to, sentAtMs: this.#now(), isThere: false }
    this.#notices.add(notice)
    this.counts.notices++
    return () => void (notice.isThere = true)
  }

  /** Returns what is called when it is over. */
  disturb(devices: readonly SimulatedDevice[], durationMs = Infinity): () => void {
    const disturbance: Disturbance = { devices, fromMs: this.#now(), untilMs: this.#now() + durationMs }
    this.#disturbances.push(disturbance)
    return () => void (disturbance.untilMs = Math.min(disturbance.untilMs, this.#now()))
  }

  awoke(device: SimulatedDevice): void {
    this.#awakeSinceMs.set(device, this.#now())
  }

  /** The process ends now. */
  gone(device: SimulatedDevice): void {
    this.disturb([device], 0)
    this.#goneSinceMs.set(device.node, this.#now())
  }

  disconnected(device: SimulatedDevice, other: SimulatedDevice): void {
    const now = this.#now()
    if (!this.#isExcused([device, other], now, now))
      this.#failures.push(`${device.name} takes ${other.name} for gone at ${now} ms, for no reason`)
  }

  /** At any time. `isAsleep` devices cannot be told anything. */
  check(isAsleep: (device: SimulatedDevice) => boolean): void {
    const now = this.#now()
    for (const each of this.#all) {
      const { owner, processes, settledAtMs, id } = each
      if (settledAtMs !== null) {
        if (now - settledAtMs > 2 * patienceMs) this.#all.delete(each)
        continue
      }
      if (!this.#isAlive(each) || isAsleep(owner)) continue
      const goneAtMs = processes[1] === null ? undefined : this.#goneSinceMs.get(processes[1])
      const otherEnd = [...this.#all].find((one) => one.id === id && one !== each)?.settledAtMs
      const overAtMs = Math.min(goneAtMs ?? Infinity, otherEnd ?? Infinity)
      if (now - Math.max(overAtMs, this.#awakeSinceMs.get(owner) ?? 0) > patienceMs)
        this.#fail(each, `is over since ${overAtMs} ms, and nobody has told ${owner.name}`)
    }
    for (const notice of this.#notices) {
      if (now - notice.sentAtMs < noticeMs) continue
      this.#notices.delete(notice)
      const { what, from, to, sentAtMs } = notice
      if (!notice.isThere && !this.#isExcused([from, to], sentAtMs, sentAtMs + noticeMs))
        this.#failures.push(`${what} of ${from.name} to ${to.name} at ${sentAtMs} ms is lost for no reason`)
    }
    assert.equal(this.#failures.length, 0, this.#failures.join('; '))
  }

  /** What has not ended yet, of processes that run. */
  open(): string[] {
    const open = [...this.#all].filter((each) => each.settledAtMs === null && this.#isAlive(each))
    return open.map(({ what, id, owner, other }) => `${what} ${id} of ${owner.name} with ${other.name}`)
  }

  #now(): number {
    return this.#simulation.now()
  }

  #isAlive({ owner, processes }: Undertaking): boolean {
    return owner.isRunning && owner.node === processes[0] && !this.#goneSinceMs.has(processes[0])
  }

  #fail({ what, id, owner, other, beganAtMs }: Undertaking, why: string): void {
    const begun = `${what} ${id} of ${owner.name} with ${other.name}, begun at ${beganAtMs} ms,`
    this.#failures.push(`${begun} ${why} (${this.#now()} ms)`)
  }

  /** Whether there was a reason, at that time or shortly before: silence is noticed after nine seconds. */
  #isExcused([one, other]: readonly SimulatedDevice[], fromMs: number, untilMs: number): boolean {
    return this.#disturbances.some(
      (each) =>
        each.devices.some((device) => device === one || device === other) &&
        each.fromMs <= untilMs &&
        each.untilMs + aftermathMs >= fromMs,
    )
  }
}

const aftermathMs = 12_000
/** Longer than it takes to notice that somebody fell silent, and to tell it. */
const patienceMs = 15_000
const noticeMs = 5_000
