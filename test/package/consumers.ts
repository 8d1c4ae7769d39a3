import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Applications that import the package: what they compile with, and what becomes of them in a bundle. */

/** The oldest compiler whose users are promised types, and whichever is newest today. */
export const compilers = ['5.4', 'latest'] as const

/** Every way of resolving a package that knows its `exports`. */
export const resolutions = [
  { module: 'node16', moduleResolution: 'node16' },
  { module: 'nodenext', moduleResolution: 'nodenext' },
  { module: 'esnext', moduleResolution: 'bundler' },
] as const

const usesTypes = `
import {
  createNode, defineEvent, defineProtocol, defineStream, describeFinding, isProtocolError, SpacedockError,
  type Device, type DeviceInfo, type NodeEvents, type Protocol, type SpacedockNode,
} from 'spacedock'
import { createSimulation, simulate, type SimulatedDevice } from 'spacedock/testing'

declare const text: Protocol<string, string>['request']
const notes = defineProtocol({ name: 'notes', version: 1, request: text, response: text, errors: { gone: text } })
const files = defineStream({ name: 'files', version: 1, request: text, handler: async (path, { writable }) => {
  await writable.getWriter().write(new TextEncoder().encode(path))
} })
const moved = defineEvent({ name: 'moved', version: 1, event: text, handler: (event) => void event.length })

export async function use(): Promise<string> {
  const node: SpacedockNode = await createNode({ dataDir: 'data', name: 'laptop', setUp: (made) => made.handle(files) })
  const end = new AbortController()
  const heard = (event: CustomEvent<NodeEvents['device:connected']>): string => event.detail.name
  node.addEventListener('device:connected', (event) => void heard(event), { once: true, signal: end.signal })
  const device: Device = await node.join('words', { confirm: async ({ name, digits }) => name.length > 0 && digits.length === 6 })
  const info: DeviceInfo = { ...device }
  const { status } = await device.send({ json: [1, 2, info] })
  // @ts-expect-error a device's state is one of a few
  if (device.state === 'nonsense') throw new SpacedockError('internal', 'never')
  try {
    await device.emit(moved, await device.request(notes, 'one', { timeoutMs: 5 }))
  } catch (error) {
    if (isProtocolError(error, notes)) return error.data
    if (error instanceof SpacedockError) return error.hint ?? error.code
  }
  for await (const chunk of (await device.openStream(files, 'path')).readable) return String(chunk.byteLength)
  for await (const { value, missed } of node.subscribe('topic', { schema: text })) return value.slice(missed)
  for await (const message of node.messages({ signal: end.signal })) return message.text ?? ''
  const finding = device.lastFailure?.finding
  return finding ? describeFinding(finding, 'device').hint : status
}
export const simulated: Promise<SimulatedDevice> = createSimulation({ seed: 1 }).device('laptop')
export const story: Promise<void> = simulate({ seeds: 1 }, async (simulation) => simulation.pass(1))
`

/** Installs a compiler beside the application, and returns its script. */
export function fetchCompiler(version: string, folder: string): string {
  const place = join(folder, `typescript-${version}`)
  mkdirSync(place)
  writeFileSync(join(place, 'package.json'), '{"private":true}')
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--silent', `typescript@${version}`], {
    cwd: place,
  })
  return join(place, 'node_modules/typescript/bin/tsc')
}

/** Checks the application and every declaration that it reaches, with no type of a browser around, or with all of them. */
export function compile(
  app: string,
  compiler: string,
  options: { module: string; moduleResolution: string; lib?: string; file?: string },
): void {
  const { module, moduleResolution, lib = 'es2022', file = 'use.ts' } = options
  writeFileSync(join(app, file), usesTypes)
  const strict = ['--strict', '--exactOptionalPropertyTypes', '--skipLibCheck', 'false', '--noEmit']
  const setting = [
    '--module',
    module,
    '--moduleResolution',
    moduleResolution,
    '--target',
    'es2022',
    '--lib',
    lib,
  ]
  const args = [compiler, ...strict, ...setting, '--types', 'node', file]
  execFileSync(process.execPath, args, { cwd: app, stdio: ['ignore', 'inherit', 'inherit'] })
}

/** The application and all of the library as one file, in a folder with nothing else in it. */
export function bundle(
  app: string,
  esbuild: string,
  { file, place, format }: { file: string; place: string; format: 'esm' | 'cjs' },
): string {
  mkdirSync(place)
  const bundled = join(place, format === 'esm' ? 'app.mjs' : 'app.cjs')
  const options = ['--bundle', '--platform=node', `--format=${format}`, '--log-level=warning']
  execFileSync(esbuild, [file, ...options, `--outfile=${bundled}`], {
    cwd: app,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  return bundled
}
