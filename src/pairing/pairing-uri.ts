import { parsePairingCode, type ParsedPairingCode } from './pairing-code.ts'

/** Formats the content of a QR code: `spacedock:word-word-…-word?peer=MULTIADDR&peer=…` (RFC 3986). */
export function formatPairingUri(words: string, addresses: readonly string[]): string {
  const query = addresses.map(
    (address) => `peer=${encodeURIComponent(address).replaceAll('%2F', '/').replaceAll('%3A', ':')}`,
  )
  return `spacedock:${words.split(' ').join('-')}${query.length > 0 ? `?${query.join('&')}` : ''}`
}

export interface ParsedInvitationText {
  code: ParsedPairingCode
  /** Multiaddrs as text, not checked; none when only words were given. */
  addresses: string[]
}

/** Number of addresses taken from a URI. */
const maxAddresses = 16

/** Takes either a `spacedock:` URI or plain words. */
export function parseInvitationText(text: string): ParsedInvitationText {
  const uri = /^spacedock:(?:\/\/)?(?<words>[^?#]*)(?:\?(?<query>[^#]*))?/iu.exec(text.trim())
  if (uri === null) return { code: parsePairingCode(text), addresses: [] }
  const addresses = new URLSearchParams(uri.groups?.['query'] ?? '').getAll('peer').slice(0, maxAddresses)
  return { code: parsePairingCode(percentDecoded(uri.groups?.['words'] ?? '')), addresses }
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
