import * as v from 'valibot'
import { parseJson } from './lines.ts'
import type { DaemonSettings } from './process.ts'

/**
 * Environment variable by which a command hands the addresses of rendezvous nodes to the daemon that it starts. They may end in a
 * relay's secret, and every user of the machine can read a command line, but only the same user an environment.
 */
const variable = 'SPACEDOCK_HANDED_OVER'

const handedOver = v.strictObject({ rendezvous: v.array(v.string()) })

/** Splits settings into those for the daemon's command line and its environment. */
export function handOver(
  settings: DaemonSettings,
  environment: NodeJS.ProcessEnv,
): { shown: DaemonSettings; environment: NodeJS.ProcessEnv } {
  const { rendezvous, ...shown } = settings
  // Not even an inherited variable may stand in for settings that this start has not got.
  const { [variable]: _, ...inherited } = environment
  if (rendezvous === undefined) return { shown, environment: inherited }
  return { shown, environment: { ...inherited, [variable]: JSON.stringify({ rendezvous }) } }
}

/** Completes settings by those that the environment holds, and removes them there, for no other process to inherit. */
export function takeOver(shown: DaemonSettings, environment: NodeJS.ProcessEnv): DaemonSettings {
  const text = environment[variable]
  if (text === undefined) return shown
  delete environment[variable]
  return { ...shown, ...v.parse(handedOver, parseJson(text)) }
}
