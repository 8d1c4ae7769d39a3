import { SpacedockError } from '../../errors.ts'
import type { ServicePlan } from './service-plan.ts'

/**
 * Formats a unit for the user's own systemd (systemd.service(5), systemd.exec(5)).
 *
 * Hardening is limited to what needs no privileges and no namespaces, which user units do not have everywhere. Node compiles
 * JavaScript at run time, so memory must be both writable and executable: no MemoryDenyWriteExecute. AF_NETLINK is how the
 * network interfaces are listed.
 *
 * Throws `invalid-argument` for a program that systemd would not run.
 */
export function systemdUnit({ dataDir, command }: ServicePlan): string {
  return `# Made by "spacedock service install", which writes it anew; "spacedock service remove" takes it away.

[Unit]
Description=Spacedock (${specifiersEscaped(dataDir)})
StartLimitIntervalSec=0

[Service]
ExecStart=${commandLine(command)}
Restart=on-failure
RestartSec=5
# The command line makes no sense: trying again does not help.
RestartPreventExitStatus=2
TimeoutStopSec=10
UMask=0077
LimitCORE=0
NoNewPrivileges=yes
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native

[Install]
WantedBy=default.target
`
}

/** Quotes a command line: systemd replaces variables in all but the program itself, and would take "$$" in that one as it is. */
function commandLine([program = '', ...args]: readonly string[]): string {
  if (/["'\\]/u.test(program)) {
    throw new SpacedockError(
      'invalid-argument',
      `The system's systemd runs no program with a quote or backslash in its path: ${program}.`,
      {
        hint: 'Use a Node that is in another directory.',
      },
    )
  }
  return [quoted(program), ...args.map((argument) => quoted(argument).replaceAll('$', '$$$$'))].join(' ')
}

function quoted(text: string): string {
  return `"${specifiersEscaped(text).replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

function specifiersEscaped(text: string): string {
  return text.replaceAll('%', '%%')
}
