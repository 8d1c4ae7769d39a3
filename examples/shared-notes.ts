/**
 * A list of notes that a person's devices share, also while some of them are away. On each device:
 *
 *     node examples/shared-notes.ts DIRECTORY [INTERFACE...]
 *
 * and then `pair`, `join WORDS`, `add TEXT`, `done NOTE`, `list`, `quit`. Pair two and two, in any shape that holds together.
 */
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import * as v from 'valibot'
import { createNode, type Device } from '../src/index.ts' // in your project: from 'spacedock'

const [dataDir = 'shared-notes', ...interfaces] = process.argv.slice(2)
const node = await createNode({ dataDir, ...(interfaces.length > 0 ? { interfaces } : {}) })

// A note is written once and done once, so it makes no difference in which order the changes of several devices arrive.
const noteSchema = v.object({ id: v.string(), text: v.string(), done: v.boolean() })
type Note = v.InferOutput<typeof noteSchema>
const file = `${dataDir}/notes.json`
const kept: Note[] = existsSync(file)
  ? v.parse(v.array(noteSchema), JSON.parse(readFileSync(file, 'utf8')))
  : []
const notes = new Map(kept.map((note) => [note.id, note]))

/** Keeps what is new and tells it on, to devices that are away as soon as they are back. What is known goes no further. */
async function merge(change: Note, from?: string): Promise<void> {
  const known = notes.get(change.id)
  if (known !== undefined && (known.done || !change.done)) return
  notes.set(change.id, change)
  writeFileSync(file, JSON.stringify([...notes.values()]))
  console.log(`${change.done ? 'done' : 'note'} ${change.id}: ${change.text}`)
  const others = node.devices().filter(({ id }) => id !== from)
  await Promise.all(others.map((device) => tell(device, change)))
}

/** A device whose pairing was ended, here or there, is told all notes when it is paired again. */
async function tell(device: Device, note: Note): Promise<void> {
  if (device.state === 'revoked' || device.state === 'needs-pairing') return
  await device.send({ json: note }).catch((error: unknown) => console.log(String(error)))
}

async function receive(): Promise<void> {
  for await (const { json, from } of node.messages()) {
    const note = v.safeParse(noteSchema, json)
    if (note.success) await merge(note.output, from.id)
  }
}
void receive()

node.addEventListener('device:paired', ({ detail }) => {
  console.log(`paired with ${detail.name}`)
  for (const note of notes.values()) void tell(node.device(detail.id), note)
})

for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...words] = line.trim().split(' ')
  const text = words.join(' ')
  const note = notes.get(text)
  if (command === 'quit') break
  else if (command === 'add') await merge({ id: randomUUID().slice(0, 4), text, done: false })
  else if (command === 'done' && note !== undefined) await merge({ ...note, done: true })
  else if (command === 'list')
    for (const one of notes.values()) console.log(`${one.done ? 'x' : ' '} ${one.id} ${one.text}`)
  else if (command === 'pair') console.log(`join ${(await node.pair()).words}`)
  else if (command === 'join') node.join(text).catch((error: unknown) => console.log(String(error)))
  else console.log('pair, join WORDS, add TEXT, done NOTE, list, quit')
}
await node.close()
process.stdin.destroy()
