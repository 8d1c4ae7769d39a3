import { groupDigits, wordGrid } from './code-screen.ts'
import { callDevice, type DemoDevice } from './demo-devices.ts'
import { describeTiming } from './durations.ts'

/** Tells what happens, to people and to programs. Null: it concerns both devices. */
export type Tell = (
  who: DemoDevice | null,
  event: { event: string; [field: string]: unknown },
  text: string,
) => void

const multicastPatienceMs = 5000

/** Pairs the two: alice shows a code, bob types it, alice types the digits of his screen, and he says yes to them. */
export async function pairDevices(
  alice: DemoDevice,
  bob: DemoDevice,
  tell: Tell,
  signal: AbortSignal,
): Promise<void> {
  const began = performance.now()
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const endBoth = (error: unknown): never => {
    failed.abort(error)
    throw error
  }
  const digits = compareDigits(tell)

  const code = Promise.withResolvers<string>()
  const alicePairs = callDevice(
    alice,
    'pair',
    { ask: true },
    {
      signal: either,
      onEvent: (event) => {
        if (event.kind === 'code') code.resolve(event.words)
        if (event.kind === 'digits') digits.aliceSees(event.digits)
      },
      onAsk: (question) => {
        digits.aliceSees(question.digits)
        return digits.areSame
      },
    },
  ).catch(endBoth)
  const words = await Promise.race([code.promise, alicePairs.then(() => code.promise)])
  tell(alice, { event: 'code', words }, `shows twelve words:\n\n${wordGrid(words)}\n`)
  tell(bob, { event: 'joining' }, 'types them in.')

  const join = async (peers: string[], patience: AbortSignal, contact: () => void): Promise<void> => {
    await callDevice(
      bob,
      'join',
      { code: words, peers, ask: true },
      {
        signal: AbortSignal.any([either, patience]),
        onEvent: (event) => {
          if (event.kind !== 'source') contact()
          // Bob sees the digits before he is asked; alice is asked first, and looks at his screen then.
          if (event.kind === 'digits') digits.bobSees(event.digits)
        },
        onAsk: (question) => {
          digits.bobSees(question.digits)
          return digits.areSame
        },
      },
    )
  }
  const findAddresses = async (): Promise<string[]> => {
    const text = 'Multicast does not get through here, so bob is given an address of alice’s.'
    tell(null, { event: 'no-multicast' }, text)
    const { listen, peerId } = await callDevice(alice, 'status', {}, { signal: either })
    return listen.map((address) => (address.includes('/p2p/') ? address : `${address}/p2p/${peerId}`))
  }
  await Promise.all([alicePairs, joinSomehow(join, findAddresses).catch(endBoth)])
  const tookMs = Math.round(performance.now() - began)
  tell(null, { event: 'paired', tookMs }, `Paired, both sides, in ${describeTiming(tookMs)}.`)
}

interface ComparedDigits {
  aliceSees: (digits: string) => void
  bobSees: (digits: string) => void
  /** Settles when both screens show digits. */
  areSame: Promise<boolean>
}

function compareDigits(tell: Tell): ComparedDigits {
  const alice = Promise.withResolvers<string>()
  const bob = Promise.withResolvers<string>()
  const areSame = Promise.all([alice.promise, bob.promise]).then(([one, other]) => {
    const verdict = one === other ? 'nobody sits in between' : 'somebody sits in between'
    const text = `bob’s screen shows ${groupDigits(other)}, alice types it, and hers are ${groupDigits(one)}: ${verdict}.`
    tell(null, { event: 'digits', alice: one, bob: other }, text)
    return one === other
  })
  return { aliceSees: alice.resolve, bobSees: bob.resolve, areSame }
}

/** Joins by multicast; when nobody has answered for a while, at an address. */
async function joinSomehow(
  join: (peers: string[], patience: AbortSignal, contact: () => void) => Promise<void>,
  findAddresses: () => Promise<string[]>,
): Promise<void> {
  const patience = new AbortController()
  const timer = setTimeout(
    () => patience.abort(new Error('multicast does not get through')),
    multicastPatienceMs,
  )
  try {
    await join([], patience.signal, () => clearTimeout(timer))
  } catch (error) {
    if (!patience.signal.aborted) throw error
    await join(await findAddresses(), new AbortController().signal, () => undefined)
  } finally {
    clearTimeout(timer)
  }
}
