import { fileURLToPath } from 'node:url'
import type { Node } from 'typescript/unstable/ast'
import { isStringLiteral, isTemplateLiteralToken } from 'typescript/unstable/ast/is'
import { API, type Project } from 'typescript/unstable/sync'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** The source as the compiler sees it, for tests of what is written there; for as long as `look` runs. */
export function inspectSource<Result>(config: string, look: (project: Project) => Result): Result {
  const compiler = new API({ cwd: root })
  try {
    const snapshot = compiler.updateSnapshot({ openProject: `${root}${config}` })
    const project = snapshot.getProject(`${root}${config}`)
    if (project === undefined) throw new Error(`${config} is no project`)
    return look(project)
  } finally {
    compiler.close()
  }
}

/** Every text in a file that is no comment, of a template each part. */
export function textsIn(node: Node): string[] {
  const texts: string[] = []
  const visit = (each: Node): void => {
    if (isStringLiteral(each) || isTemplateLiteralToken(each)) texts.push(each.text)
    each.forEachChild(visit)
  }
  visit(node)
  return texts
}
