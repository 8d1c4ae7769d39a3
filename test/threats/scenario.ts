import { inspect } from 'node:util'
import { Scene } from './scene.ts'
import { threatsOf } from './threats.ts'

/** One attack, in a process of its own: node scenario.ts GROUP INDEX [CONTROL]. The verdict goes to the parent. */
const [group = '', index = '', controlIndex] = process.argv.slice(2)
const threat = (await threatsOf(group))[Number(index)]
if (threat === undefined) throw new Error(`there is no threat ${index} in ${group}`)
const attack =
  controlIndex === undefined ? threat.attack : (threat.without[Number(controlIndex)]?.attack ?? threat.attack)

// What nobody catches would have ended the program: no attack may come that far, whatever it was after.
let crash: Error | undefined
const onCrash = (error: unknown): void => {
  crash ??= error instanceof Error ? error : new Error(`somebody threw ${inspect(error)}`)
}
process.on('uncaughtException', onCrash)
process.on('unhandledRejection', onCrash)

const scene = new Scene()
try {
  const verdict = await attack(scene)
  if (crash !== undefined && verdict.withstood) throw crash
  await report({ kind: 'verdict', verdict })
} catch (error) {
  await report({
    kind: 'broke',
    why: error instanceof Error ? (error.stack ?? error.message) : inspect(error),
  })
}
await scene.close()
process.exit(0)

function report(result: object): Promise<void> {
  return new Promise((resolve) => {
    if (process.send !== undefined) process.send(result, () => resolve())
    else process.stdout.write(`${JSON.stringify(result, null, 2)}\n`, () => resolve())
  })
}
