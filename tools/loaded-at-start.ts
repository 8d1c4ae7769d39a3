import type { Metafile } from 'esbuild'

type Outputs = Metafile['outputs']

/** What programs load when they start, and what must not be among it: whoever does not use it does not wait for it. */
const entries: readonly { file: string; mostKiB: number; never: RegExp }[] = [
  { file: 'dist/index.js', mostKiB: 1_400, never: /\/(?:kad-dht|ipns|cborg|nat-port-mapper)\// },
  { file: 'dist/command/client.js', mostKiB: 220, never: /\/(?:libp2p|@libp2p|@multiformats)\// },
]

/** Throws when a program loads at its start what it does not always use, or far more than it did. */
export function checkLoadedAtStart(outputs: Outputs): void {
  for (const { file, mostKiB, never } of entries) {
    const loaded = staticallyLoaded(outputs, file)
    const KiB = Math.ceil(loaded.reduce((sum, { bytes }) => sum + bytes, 0) / 1024)
    if (KiB > mostKiB) throw new Error(`${file} loads ${KiB} KiB at its start, of at most ${mostKiB}`)
    const found = loaded
      .flatMap(({ inputs }) => Object.entries(inputs))
      .find(([input, { bytesInOutput }]) => bytesInOutput > 0 && never.test(input))
    if (found !== undefined) throw new Error(`${file} loads ${found[0]} at its start`)
  }
}

/** Output files that are there before the first line of one runs, itself among them. */
function staticallyLoaded(outputs: Outputs, entry: string): Outputs[string][] {
  const seen = new Set([entry])
  // A set takes up what is added while it is gone through.
  for (const file of seen)
    for (const { path, kind, external } of outputs[file]?.imports ?? [])
      if (kind === 'import-statement' && external !== true) seen.add(path)
  return [...seen].flatMap((file) => outputs[file] ?? [])
}
