import { logPath } from '../log-file.ts'
import type { ServicePlan } from './service-plan.ts'

export function launchdLabel({ name }: Pick<ServicePlan, 'name'>): string {
  return `org.spacedock.${name}`
}

/**
 * Formats a launchd agent (launchd.plist(5)). launchd keeps no log: standard error goes to the daemon's own file, which the
 * daemon keeps from growing.
 */
export function launchdAgent(plan: ServicePlan): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- Made by "spacedock service install", which writes it anew; "spacedock service remove" takes it away. -->
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${escaped(launchdLabel(plan))}</string>
  <key>ProgramArguments</key>
  <array>
${plan.command.map((part) => `    <string>${escaped(part)}</string>`).join('\n')}
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>5</integer>
  <key>ExitTimeOut</key>
  <integer>10</integer>
  <key>Umask</key>
  <integer>63</integer>
  <key>StandardOutPath</key>
  <string>/dev/null</string>
  <key>StandardErrorPath</key>
  <string>${escaped(logPath(plan.dataDir))}</string>
</dict>
</plist>
`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
