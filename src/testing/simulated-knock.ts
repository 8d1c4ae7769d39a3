import { untilAborted } from '../abort.ts'
import type { Attachment, SimulatedNetwork, Way } from './simulated-network.ts'

/** Whoever knocks, and the network in which he does. */
export interface KnockPlace<Host> {
  network: SimulatedNetwork<Host>
  attachment: Attachment<Host>
  /** Whether the process has ended. */
  isGone: () => boolean
}

export interface KnockOptions<Host> {
  way: Way
  /** Whether what is asked for is at this place. */
  isThere: (attachment: Attachment<Host>) => boolean
  signal: AbortSignal
}

/**
 * Sends packets that ask for a connection, as TCP does, until one is answered: by whoever is there, if he meets this one, or by a
 * refusal.
 */
export function knock<Host, Opened>(
  { network, attachment: from, isGone }: KnockPlace<Host>,
  { way, isThere, signal }: KnockOptions<Host>,
  meet: (remote: Host, opened: (connection: Opened) => void) => boolean,
): Promise<Opened> {
  const { promise, resolve, reject } = Promise.withResolvers<Opened>()
  const to = network.find(isThere)
  let isAnswered = false
  const refuse = (): void => reject(Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' }))
  const send = (repeatAfterMs: number): void => {
    if (to === undefined || signal.aborted || isAnswered || isGone()) return
    const lost = (): void => void network.clock.after(repeatAfterMs, () => send(2 * repeatAfterMs))
    network.transmit(from, to, {
      way,
      lost,
      arrive: () => {
        if (isAnswered || !isThere(to)) return
        if (way === 'direct' && to.firewall === 'drop') return lost()
        isAnswered = true
        const { host } = to
        const isRefused = host === null || (way === 'direct' && to.firewall === 'reject')
        if (isRefused || !meet(host, resolve)) network.transmit(to, from, { arrive: refuse, way })
      },
    })
  }
  send(firstRepetitionMs)
  return untilAborted(promise, signal)
}

/** Wait before the first packet is sent again: a second (RFC 6298). */
const firstRepetitionMs = 1_000
