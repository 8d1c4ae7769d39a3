import { replayThreats } from './replays.ts'
import { roleThreats } from './roles.ts'
import { strangerThreats } from './strangers.ts'
import { thiefThreats } from './thieves.ts'
import type { Threat } from './threat.ts'

/** In the order of the table. */
export const threats: readonly Threat[] = [...strangerThreats, ...thiefThreats, ...roleThreats, ...replayThreats].sort((a, b) => a.row - b.row)

const noDht = 'there is no DHT in this version'
export const laterRows: readonly { row: number; why: string }[] = [
  { row: 20, why: noDht },
  { row: 21, why: noDht },
  { row: 22, why: noDht },
  { row: 30, why: 'see the documentation of backups' },
  { row: 38, why: noDht },
]
