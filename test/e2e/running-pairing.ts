import type { Result } from '../../src/daemon/daemon-api.ts'
import type { KillableDevice } from './killable-device.ts'

export interface RunningPairing extends Disposable {
  inviting: Promise<Result<'pair'>>
  joining: Promise<Result<'join'>>
  /** Both. */
  calls: Promise<unknown>[]
  /** As Ctrl-C does at both. */
  callOff: () => void
}

/** Resolves when both commands are on their way. */
export async function startPairing(
  initiator: KillableDevice,
  joiner: KillableDevice,
  { joinerDecides }: { joinerDecides?: () => Promise<boolean> } = {},
): Promise<RunningPairing> {
  const end = new AbortController()
  const { signal } = end
  const shown = Promise.withResolvers<string>()
  const inviting = initiator.call(
    'pair',
    { ask: false },
    {
      signal,
      onEvent: (event) => {
        if (event.kind === 'code') shown.resolve(event.words)
      },
    },
  )
  inviting.catch(shown.reject)
  const code = await shown.promise
  const { listen } = await initiator.call('status', {})
  const ask = joinerDecides !== undefined
  const onAsk = joinerDecides ?? (async () => true)
  const joining = joiner.call('join', { code, peers: listen, ask }, { signal, onAsk })
  // The one that is killed takes its call with it.
  joining.catch(() => undefined)
  const callOff = (): void => end.abort()
  return { inviting, joining, calls: [inviting, joining], callOff, [Symbol.dispose]: callOff }
}
