import { writeSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { systemClock } from '../../src/clock.ts'
import { openStore } from '../../src/store/store.ts'
import { accept, activeRecord, alice, bob, pendingRecord, queue } from './fixtures.ts'

/**
 * Run as a process by crash.long.test.ts, which kills it: changes everything there is, for ever, and says each thing only once
 * it is done. Arguments: the data directory, and the number to start at.
 */
// Otherwise written when the process ends, which this one never does.
flushCompileCache()
const [dataDir = '', start = '0'] = process.argv.slice(2)
const store = openStore({ dataDir, clock: systemClock })
const say = (line: string): void => {
  writeSync(1, `${line}\n`)
}

if (store.trust.get(bob) === undefined) store.trust.put(activeRecord(bob, 'bob'))
for (let number = Number(start); ; number += 1) {
  const id = `m${number}`
  accept(store.inbox, { id, peerId: alice, kind: 'text', body: id.repeat(200), atMs: number })
  say(`accepted ${id}`)
  queue(store.outbox, { id, peerId: bob, kind: 'text', body: id, atMs: number })
  say(`queued ${id}`)
  if (number % 3 === 0) {
    store.outbox.remove([id])
    say(`removed ${id}`)
  }
  // Alice is paired and revoked in turn; what counts is that the last word said holds.
  store.trust.put({ ...pendingRecord(alice, 'alice'), pairedAtMs: number })
  say(`pending ${number}`)
  store.trust.activate(alice)
  say(`active ${number}`)
  store.registry.revoke(alice)
  say(`revoked ${number}`)
}
