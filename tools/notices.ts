import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

interface BundledPackage {
  name: string
  version: string
  license: string
  /** Text of its licence, as its files have it. */
  text: string
}

/**
 * Writes down which packages are inside of the bundles: their licences, which ask for that, and a list for programs that look
 * for versions with known faults (CycloneDX 1.6, https://cyclonedx.org/specification/overview/).
 */
export function writeNotices(inputs: readonly string[], directory: string): void {
  const packages = [...new Set(inputs.flatMap(packageOf))].map(describe)
  packages.sort(
    (one, other) => one.name.localeCompare(other.name) || one.version.localeCompare(other.version),
  )
  const notices = packages.map(
    ({ name, version, license, text }) => `${name} ${version} (${license})\n\n${text}\n`,
  )
  writeFileSync(join(directory, 'NOTICES.txt'), notices.join(`\n${'-'.repeat(80)}\n\n`))
  writeFileSync(join(directory, 'sbom.cdx.json'), `${JSON.stringify(billOfMaterials(packages), null, 2)}\n`)
}

/** Folder of the package that a file belongs to; none for a file of our own. */
function packageOf(file: string): string[] {
  const found = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//u.exec(file)?.[1]
  return found === undefined ? [] : [found]
}

function describe(folder: string): BundledPackage {
  const { name, version, license, author, homepage } = JSON.parse(
    readFileSync(join(folder, 'package.json'), 'utf8'),
  ) as {
    name: string
    version: string
    license?: string
    author?: string | { name: string }
    homepage?: string
  }
  if (license === undefined) throw new Error(`${name} does not say what its licence is`)
  const whose = typeof author === 'object' ? author.name : author
  const files = readdirSync(folder).filter((file) => /^(?:licen[cs]e|copying|notice)/iu.test(file))
  const text = files.map((file) => readFileSync(join(folder, file), 'utf8').trim()).join('\n\n')
  return { name, version, license, text: text || [whose, homepage].filter(Boolean).join(', ') }
}

function billOfMaterials(packages: readonly BundledPackage[]): object {
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    components: packages.map(({ name, version, license }) => ({
      type: 'library',
      name,
      version,
      purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
      licenses: [{ expression: license }],
    })),
  }
}
