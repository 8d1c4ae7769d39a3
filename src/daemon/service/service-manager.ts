import { spawn } from 'node:child_process'
import { isAbsolute, join } from 'node:path'
import { SpacedockError } from '../../errors.ts'
import { homeDirectory } from '../home-directory.ts'
import { launchdAgent, launchdLabel } from './launchd-agent.ts'
import type { ServicePlan } from './service-plan.ts'
import { systemdUnit } from './systemd-unit.ts'

/** systemd or launchd, as far as one service needs it. Every method rejects with `service-failed`. */
export interface ServiceManager {
  /** Name of the service there. */
  readonly service: string
  /** Path of the file that describes it. */
  readonly path: string
  readonly file: string
  /** A command that shows its state, and one that shows its log. */
  readonly showState: string
  readonly showLog: string
  /** Note for the person besides. */
  readonly note: string | null
  /** Rejects when the manager cannot be used here, with the alternative. */
  check(purpose: 'install' | 'remove'): Promise<void>
  isActive(): Promise<boolean>
  /** Reads the file, and starts the service now and at every login; one that runs is started anew. */
  start(): Promise<void>
  /** Stops it, and forgets that it starts at login. */
  stop(): Promise<void>
  /** Forgets the service, after the file has gone. */
  forget(): Promise<void>
}

/** Chooses the manager. Throws `service-failed` where there is neither of the two. */
export function serviceManager(
  plan: ServicePlan,
  platform: NodeJS.Platform = process.platform,
): ServiceManager {
  if (platform === 'linux') return systemd(plan)
  if (platform === 'darwin') return launchd(plan)
  const system = platform === 'win32' ? 'Windows' : platform
  const what = `Spacedock installs services with systemd and launchd, and ${system} has neither.`
  throw failed(what, otherStarter(plan))
}

function systemd(plan: ServicePlan): ServiceManager {
  const service = `${plan.name}.service`
  const config = process.env['XDG_CONFIG_HOME'] // relative paths are invalid: XDG base directory specification
  const directory = config !== undefined && isAbsolute(config) ? config : join(homeDirectory(), '.config')
  const path = join(directory, 'systemd', 'user', service)
  const must = async (...args: string[]): Promise<void> => succeed(await systemctl(...args), plan)
  return {
    service,
    path,
    file: systemdUnit(plan),
    showState: `systemctl --user status ${service}`,
    showLog: `journalctl --user --unit ${service}`,
    note: 'To have it run without anybody logged in: loginctl enable-linger',
    check: async (purpose) => {
      const { kind, code } = await systemctl('show', '--property=Version')
      const hint = purpose === 'install' ? otherStarter(plan) : byHand('systemctl --user status', path)
      if (kind === 'missing') throw failed(`There is no systemd here to ${purpose} a service with.`, hint)
      if (code !== 0) throw failed('The systemd of this user cannot be reached.', hint)
    },
    isActive: async () => (await systemctl('is-active', '--quiet', service)).code === 0,
    start: async () => {
      await must('daemon-reload')
      await must('enable', service)
      await must('restart', service)
    },
    stop: async () => must('disable', '--now', service),
    forget: async () => must('daemon-reload'),
  }
}

function launchd(plan: ServicePlan): ServiceManager {
  const label = launchdLabel(plan)
  const path = join(homeDirectory(), 'Library', 'LaunchAgents', `${label}.plist`)
  const domain = `gui/${process.getuid?.()}`
  const must = async (...args: string[]): Promise<void> => succeed(await launchctl(...args), plan)
  const isLoaded = async (): Promise<boolean> => (await launchctl('print', `${domain}/${label}`)).code === 0
  const unload = async (): Promise<void> => {
    if (await isLoaded()) await must('bootout', `${domain}/${label}`)
  }
  return {
    service: label,
    path,
    file: launchdAgent(plan),
    showState: `launchctl print ${domain}/${label}`,
    showLog: 'spacedock status',
    note: null,
    check: async (purpose) => {
      const { kind, code } = await launchctl('print', domain)
      const hint = purpose === 'install' ? otherStarter(plan) : byHand(`launchctl print ${domain}`, path)
      if (kind === 'missing') throw failed(`There is no launchd here to ${purpose} a service with.`, hint)
      if (code !== 0) throw failed('The launchd of this user cannot be reached.', hint)
    },
    isActive: isLoaded,
    start: async () => {
      await unload()
      await must('enable', `${domain}/${label}`)
      await must('bootstrap', domain, path)
    },
    stop: unload,
    forget: async () => {},
  }
}

type Ended =
  { kind: 'missing'; code: null } | { kind: 'ended'; code: number | null; command: string; said: string }

function systemctl(...args: string[]): Promise<Ended> {
  return run('systemctl', ['--user', ...args])
}

function launchctl(...args: string[]): Promise<Ended> {
  return run('launchctl', args)
}

const commandDeadlineMs = 60_000

async function run(command: string, args: string[]): Promise<Ended> {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const impatience = setTimeout(() => child.kill(), commandDeadlineMs)
  const said: Buffer[] = []
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk))
  const { promise, resolve, reject } = Promise.withResolvers<Ended>()
  child.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') resolve({ kind: 'missing', code: null })
    else reject(error)
  })
  child.once('close', (code) => {
    const text = Buffer.concat(said).toString().trim()
    resolve({ kind: 'ended', code, command: [command, ...args].join(' '), said: text })
  })
  return promise.finally(() => clearTimeout(impatience))
}

function succeed(ended: Ended, plan: ServicePlan): void {
  if (ended.kind === 'missing') throw failed('The service manager has gone.', otherStarter(plan))
  if (ended.code === 0) return
  const [said = ''] = ended.said.split('\n')
  const reason = said === '' ? `exit code ${ended.code}` : said.replace(/\.$/u, '')
  const hint = 'Correct what it complains about, then try again; "spacedock service install" may be repeated.'
  throw failed(`The command "${ended.command}" failed: ${reason}.`, hint)
}

function failed(what: string, hint: string): SpacedockError {
  return new SpacedockError('service-failed', what, { hint })
}

function otherStarter({ command }: ServicePlan): string {
  const how =
    'Give the settings to "spacedock up" once, which keeps them, and let whatever starts programs here'
  return `${how} run this, in the foreground: ${command.map(shellQuoted).join(' ')}`
}

function byHand(command: string, path: string): string {
  return `Try again where "${command}" works, or delete ${path} and stop the daemon with "spacedock down".`
}

function shellQuoted(text: string): string {
  return /^[\w@%+=:,./-]+$/u.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
