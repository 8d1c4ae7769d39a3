import { whyNoCable } from './cable.ts'
import {
  cleanStale,
  createNamespace,
  ip,
  namespacesOf,
  newLabId,
  nft,
  removeNamespaces,
} from './namespace.ts'
import { runProcess } from './process.ts'

/**
 * Why this machine cannot run a lab, in one sentence, for the `skip` of a test; false when it can. Installs missing
 * commands. Where the environment says CI, a lab that cannot run is a failure: this ends the process.
 *
 * @param options.cables whether the test asks for cables with delay, rate or loss, for which a Go compiler is needed
 */
export async function whyNoLab({ cables = false } = {}): Promise<string | false> {
  const reason = await findObstacle(cables)
  if (reason === false) return false
  const sentence = `The network lab cannot run: ${reason}.`
  console.error(sentence)
  if (process.env['CI'] !== undefined && process.env['CI'] !== '') process.exit(1)
  return sentence
}

async function findObstacle(cables: boolean): Promise<string | false> {
  if (process.platform !== 'linux') return 'network namespaces exist on Linux only'
  if (process.getuid?.() !== 0) return 'it needs root, to make network namespaces'
  const packages = cables ? { ...packageOf, go: 'golang-go' } : packageOf
  const missing = await installMissing(packages, 'The network lab')
  if (missing.length > 0) return `the packages ${missing.join(', ')} are missing and could not be installed`
  return (await tryEverything()) || (cables ? await whyNoCable() : false)
}

/** Debian's package for each command. */
const packageOf: Record<string, string> = {
  ip: 'iproute2',
  nft: 'nftables',
  tcpdump: 'tcpdump',
  miniupnpd: 'miniupnpd-nftables',
}

/**
 * Installs Debian's packages of the commands that this machine lacks. Returns the packages that are still missing afterwards.
 * `who` needs them.
 */
export async function installMissing(packages: Record<string, string>, who: string): Promise<string[]> {
  const missing = await missingPackages(packages)
  if (missing.length === 0) return []
  console.error(`${who} needs ${missing.join(', ')}: installing with apt-get.`)
  // Test files start at the same time: the second waits for the first one's lock.
  const install = [
    'apt-get',
    '-o',
    'DPkg::Lock::Timeout=120',
    'install',
    '-y',
    '--no-install-recommends',
    ...missing,
  ]
  if (!(await succeeds(install))) {
    await succeeds(['apt-get', '-o', 'DPkg::Lock::Timeout=120', 'update'])
    await succeeds(install)
  }
  return await missingPackages(packages)
}

async function missingPackages(packages: Record<string, string>): Promise<string[]> {
  const missing: string[] = []
  for (const [command, name] of Object.entries(packages)) {
    if (!(await succeeds(['sh', '-c', `command -v ${command}`]))) missing.push(name)
  }
  return missing
}

async function succeeds(command: string[]): Promise<boolean> {
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  return await runProcess(command, { env, deadlineMs: 300_000 }).then(
    ({ code }) => code === 0,
    () => false,
  )
}

/** Containers often lack a permission, small kernels a module: the one sure way to know is to make one of each. */
async function tryEverything(): Promise<string | false> {
  cleanStale()
  const id = newLabId()
  const probe = `${id}-probe`
  try {
    await createNamespace(probe)
    await ip(probe, ['link add br0 type bridge mcast_snooping 0', 'link add eth0 type veth peer name port1'])
    await nft(
      probe,
      `table inet t {
        chain c {
          type nat hook postrouting priority srcnat
          oifname "eth0" masquerade fully-random
        }
      }
      table bridge t {
        chain c {
          type filter hook prerouting priority 0
          drop
        }
      }`,
    )
    return false
  } catch (error) {
    return `this machine does not allow it (${String(error).replaceAll(/\s+/g, ' ')})`
  } finally {
    removeNamespaces(namespacesOf(id))
  }
}
