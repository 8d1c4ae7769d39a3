import { Scene } from './scene.ts'
import { threats } from './threats.ts'

/** One attack, in a process of its own: node scenario.ts THREAT [CONTROL]. The verdict goes to the parent. */
const [threatIndex = '', controlIndex] = process.argv.slice(2)
const threat = threats[Number(threatIndex)]
if (threat === undefined) throw new Error(`there is no threat ${threatIndex}`)
const attack = controlIndex === undefined ? threat.attack : (threat.without[Number(controlIndex)]?.attack ?? threat.attack)

// What nobody catches would have ended the program: no attack may come that far, whatever it was after.
let crash: unknown
const onCrash = (error: unknown): void => {
  crash ??= error
}
process.on('uncaughtException', onCrash)
process.on('unhandledRejection', onCrash)

const scene = new Scene()
try {
  const verdict = await attack(scene)
  if (crash !== undefined && verdict.withstood) throw crash
  await report({ kind: 'verdict', verdict })
} catch (error) {
  await report({ kind: 'broke', why: error instanceof Error ? (error.stack ?? error.message) : String(error) })
}
await scene.close()
process.exit(0)

function report(result: object): Promise<void> {
  return new Promise((resolve) => {
    if (process.send !== undefined) process.send(result, () => resolve())
    else process.stdout.write(`${JSON.stringify(result, null, 2)}\n`, () => resolve())
  })
}
