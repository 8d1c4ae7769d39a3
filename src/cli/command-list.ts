import type { Command } from './command.ts'
import { down, status, up } from './commands/daemon.ts'
import { demo } from './commands/demo.ts'
import { devices, ping, rename, revoke } from './commands/devices.ts'
import { inbox, outbox, send } from './commands/messages.ts'
import { join } from './commands/join.ts'
import { pair } from './commands/pair.ts'
import { rendezvous } from './commands/rendezvous.ts'
import { service } from './commands/service.ts'

/** Commands in the order in which the help shows them. */
export const commands: readonly Command[] = [
  demo,
  pair,
  join,
  devices,
  rename,
  revoke,
  ping,
  send,
  inbox,
  outbox,
  up,
  down,
  status,
  service,
  rendezvous,
]
