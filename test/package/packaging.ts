import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** What the files in packaging/ say, taken apart. */

const directory = new URL('../../packaging/', import.meta.url)

export const containerfilePath = fileURLToPath(new URL('Containerfile', directory))
export const unitPath = fileURLToPath(new URL('spacedock-rendezvous.service', directory))

export interface Instruction {
  name: string
  text: string
}

/** Its instructions in order, continued lines joined. */
export function containerInstructions(): Instruction[] {
  return readFileSync(containerfilePath, 'utf8')
    .replaceAll(/^#.*\n/gmu, '')
    .replaceAll(/\\\n\s*/gu, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [name = '', ...rest] = line.split(' ')
      return { name, text: rest.join(' ').replaceAll(/\s+/gu, ' ').trim() }
    })
}

/** The only instruction of this name, or the last: what counts in an image. */
export function instruction(name: string): string {
  const found = containerInstructions().findLast((each) => each.name === name)
  if (found === undefined) throw new Error(`the Containerfile has no ${name}`)
  return found.text
}

/** What the container runs. */
export function containerCommand(): string[] {
  return JSON.parse(instruction('ENTRYPOINT')) as string[]
}

/** The value of a setting of the unit. */
export function unitSetting(name: string): string {
  const found = new RegExp(`^${name}=(.*)$`, 'mu').exec(readFileSync(unitPath, 'utf8'))?.[1]
  if (found === undefined) throw new Error(`the unit has no ${name}`)
  return found
}

/** What the unit runs, without what it leaves to whoever installs it. */
export function unitCommand(): string[] {
  return unitSetting('ExecStart')
    .split(' ')
    .filter((word) => !word.startsWith('$'))
}
