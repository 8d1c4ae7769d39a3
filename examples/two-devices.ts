/**
 * The library in one screen: two devices, one code, a message, and a protocol of one's own.
 *
 *     node examples/two-devices.ts
 *
 * Both devices live in this process here, on the loopback interface; in an application each runs on its own machine.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { compareDigits, createNode, defineProtocol, type SpacedockNode } from '../src/index.ts' // in your project: from 'spacedock'

const folder = await mkdtemp(join(tmpdir(), 'two-devices-'))
const interfaces = [process.platform === 'darwin' ? 'lo0' : 'lo']

// A protocol is a name, a version, and a schema each way; any Standard Schema library will do.
const notes = defineProtocol({
  name: 'notes',
  version: 1,
  request: v.object({ text: v.pipe(v.string(), v.maxLength(1000)) }),
  response: v.object({ count: v.number() }),
  handler: ({ text }, { device }) => {
    written.push(`${device.name}: ${text}`)
    return { count: written.length }
  },
})
const written: string[] = []

// What setUp registers is there before another device connects.
const setUp = (node: SpacedockNode): void => void node.handle(notes)
const laptop = await createNode({ dataDir: join(folder, 'laptop'), name: 'laptop', interfaces })
const phone = await createNode({ dataDir: join(folder, 'phone'), name: 'phone', interfaces, setUp })

// Pairing: one device shows twelve words, the other one takes them and shows six digits, which are typed at the first.
let typed = ''
const invitation = await laptop.pair({
  confirm: async ({ name, digits }) => {
    console.log(`laptop: pair with ${name}? ${typed} was typed.`)
    return compareDigits(digits, typed) === 'same'
  },
})
console.log(`laptop: the code has ${invitation.words.split(' ').length} words`)
const seenByPhone = await phone.join(invitation.words, {
  onProgress: (progress) => {
    if (progress.kind === 'digits') typed = progress.digits
  },
})
const seenByLaptop = await invitation.paired
console.log(`paired: ${seenByPhone.name} and ${seenByLaptop.name}`)

// A message is delivered, or waits until the device is back.
const { status } = await seenByLaptop.send('hello')
for await (const message of phone.messages()) {
  console.log(`phone: ${message.text} (from ${message.from.name}, ${status})`)
  break
}

// A request is answered by the other device's handler; strangers never reach it.
const { count } = await seenByLaptop.request(notes, { text: 'buy milk' })
console.log(`laptop: the phone has ${count} note: ${written.join()}`)

await laptop.close()
await phone.close()
await rm(folder, { recursive: true })
