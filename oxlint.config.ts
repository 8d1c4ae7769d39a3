import { defineConfig, type OxlintOverride } from 'oxlint'

/** Rings of `src`, the outermost first: each imports only from those behind it. */
const rings = ['cli', 'daemon', 'testing', 'node', 'protocols', 'network', 'store', 'set', 'pairing']
/** Rings that do not know the one behind them either. */
const apart: Record<string, string> = { daemon: 'testing', network: 'store' }

/** Folders of `src/network`, the highest first: each imports only from those behind it, and from the files beside the folders. */
export const networkFolders = [
  'host',
  'application',
  'public',
  'relay',
  'supervisor',
  'session',
  'discovery',
  'dht',
  'reachability',
  'transport',
  'addresses',
]

const files = (ring: string): string[] =>
  ring === 'node' ? ['src/node.ts', 'src/node/**', 'src/index.ts'] : [`src/${ring}/**`]

const imports = (ring: string): string[] =>
  ring === 'node' ? ['**/node.ts', '**/node/**'] : [`**/${ring}/**`]

function above(ring: string): string[] {
  const outer = rings.slice(0, rings.indexOf(ring))
  const other = apart[ring]
  return (other === undefined ? outer : [...outer, other]).flatMap(imports)
}

/** Refuses these imports; a later one for the same file takes the place of an earlier one. */
function refuse(from: string[], group: string[], message: string): OxlintOverride {
  return {
    files: from,
    rules: { 'no-restricted-imports': ['error', { patterns: [{ group, message }] }] },
  }
}

/** A ring to which bytes, time and randomness come in as arguments. */
function pure(ring: string, others: string[], message: string): OxlintOverride {
  return {
    files: [`src/${ring}/**`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { group: others, message },
            {
              group: ['node:*'],
              message: `${ring}/ is pure: bytes, time and randomness come in as arguments`,
            },
          ],
        },
      ],
      'no-restricted-globals': [
        'error',
        'Date',
        'performance',
        'setTimeout',
        'setInterval',
        'crypto',
        'process',
        'Buffer',
      ],
    },
  }
}

const downwards = 'imports run downwards (ARCHITECTURE.md, "The map")'

export default defineConfig({
  plugins: ['typescript', 'import', 'unicorn', 'oxc', 'node', 'promise'],
  categories: { correctness: 'error', suspicious: 'error' },
  rules: {
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/await-thenable': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/no-non-null-assertion': 'error',
    'typescript/switch-exhaustiveness-check': 'error',
    'typescript/only-throw-error': 'error',
    'typescript/require-await': 'off',
    'typescript/no-unsafe-type-assertion': 'off',
    'typescript/consistent-return': 'off',
    'import/no-cycle': 'error',
    'import/no-unassigned-import': 'off',
    'import/no-named-as-default-member': 'off',
    'no-await-in-loop': 'off',
    'no-underscore-dangle': 'off',
    'no-shadow': 'off',
    'unicorn/no-array-sort': 'off',
    'typescript/require-array-sort-compare': 'off',
    eqeqeq: ['error', 'always'],
    'no-console': 'error',
  },
  overrides: [
    ...rings
      .filter((ring) => ring !== 'pairing' && above(ring).length > 0)
      .map((ring) => refuse(files(ring), above(ring), downwards)),
    ...networkFolders.map((folder, level) =>
      refuse(
        [`src/network/${folder}/**`],
        [...above('network'), ...networkFolders.slice(0, level).map((higher) => `**/${higher}/**`)],
        `${downwards}, also between the folders of network`,
      ),
    ),
    refuse(
      ['src/network/*.ts'],
      [...above('network'), './*/**'],
      `${downwards}: the files beside the folders of network import none of these`,
    ),
    refuse(
      ['src/network/discovery/mdns/**'],
      [
        ...above('network'),
        ...networkFolders.slice(0, networkFolders.indexOf('discovery')).map((higher) => `**/${higher}/**`),
        '../*.ts',
      ],
      `${downwards}: multicast DNS knows nothing of the other ways to find a device`,
    ),
    pure('pairing', ['../**'], 'pairing/ is the innermost ring: it imports nothing of the other rings'),
    pure('set', [...above('set'), '../*.ts'], 'set/ imports nothing but pairing/'),
    {
      files: ['src/pairing/curve25519.ts'],
      rules: { 'no-restricted-imports': 'off', 'no-restricted-globals': 'off' },
    },
    {
      files: ['src/**'],
      rules: {
        'max-lines-per-function': ['error', { max: 70, skipComments: true, skipBlankLines: true }],
        'max-lines': ['error', { max: 250, skipComments: true, skipBlankLines: true }],
      },
    },
    {
      files: ['test/**', 'examples/**', 'bench/**'],
      rules: {
        'typescript/no-floating-promises': [
          'error',
          { allowForKnownSafeCalls: ['test', 'it', 'describe', 'suite'] },
        ],
        'no-console': 'off',
      },
    },
  ],
  ignorePatterns: ['dist', 'node_modules'],
})
