import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Project, type Symbol as Named, SymbolFlags } from 'typescript/unstable/sync'
import { inspectSource, root } from './source.ts'

const entries = ['src/index.ts', 'src/testing/index.ts']

test('every exported name, and every member of one, says in a comment what it is', () => {
  const { documented, bare } = inspectSource('tsconfig.build.json', (project) => {
    const all = entries.flatMap((entry) => publicNames(project, entry))
    const { checker } = project
    const isBare = ({ symbol }: PublicName): boolean =>
      checker.getDocumentationCommentOfSymbol(symbol) === '' &&
      checker.getJsDocTagsOfSymbol(symbol).length === 0
    return {
      documented: all.filter((name) => !isBare(name)).map(({ path }) => path),
      bare: all.filter((name) => isBare(name)).map(({ path }) => path),
    }
  })
  assert.deepEqual(bare, [])
  for (const name of ['createNode', 'Device.send', 'Simulation.pass'])
    assert.ok(documented.includes(name), name)
})

interface PublicName {
  path: string
  symbol: Named
}

function publicNames({ checker, program }: Project, entry: string): PublicName[] {
  const file = program.getSourceFile(`${root}${entry}`)
  const module = file === undefined ? undefined : checker.getSymbolAtLocation(file)
  assert.ok(module, `${entry} is not in the program`)
  return checker.getExportsOfModule(module).flatMap((exported) => {
    const isAlias = (exported.flags & SymbolFlags.Alias) !== 0
    const symbol = isAlias ? checker.getAliasedSymbol(exported) : exported
    const members = [...symbol.getMembers().values()]
      // What has no name of its own: constructors, signatures, `#private`, well-known symbols, parameters of types.
      .filter(({ name, flags }) => !/^(?:__|#)/u.test(name) && (flags & SymbolFlags.TypeParameter) === 0)
      .map((member) => ({ path: `${exported.name}.${member.name}`, symbol: member }))
    return [{ path: exported.name, symbol }, ...members]
  })
}
