/** Text of a picture that is legible on light and on dark pages: it brings its background, in the colours that the reader prefers. */
export function picture(width: number, height: number, title: string, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(title)}">
<style>
  text { font: 12px system-ui, sans-serif; fill: #24292f; stroke: #ffffff; stroke-width: 3; paint-order: stroke }
  .page { fill: #ffffff } .title { font-weight: 600; font-size: 13px } .quiet { fill: #57606a } .end { text-anchor: end } .middle { text-anchor: middle }
  .rule { stroke: #d0d7de } .goal { stroke: #24292f; stroke-width: 1.5; stroke-dasharray: 3 2 }
${colours.map(([light], index) => `  .c${index} { fill: ${light}; stroke: ${light} }`).join('\n')}
  .line { fill: none; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; stroke: #0d1117 } .page { fill: #0d1117 } .quiet { fill: #9198a1 } .rule { stroke: #3d444d } .goal { stroke: #e6edf3 }
${colours.map(([, dark], index) => `    .c${index} { fill: ${dark}; stroke: ${dark} }`).join('\n')}
    .line { fill: none }
  }
</style>
<rect class="page" width="100%" height="100%" rx="6"/>
${parts.join('\n')}
</svg>
`
}

/** Light and dark: Spacedock's own first, the others in grey and blue. */
const colours: readonly (readonly [string, string])[] = [
  ['#bc4c00', '#f0883e'],
  ['#8c959f', '#768390'],
  ['#0969da', '#58a6ff'],
]

export function text(x: number, y: number, content: string, className = ''): string {
  return `<text x="${point(x)}" y="${point(y)}"${className === '' ? '' : ` class="${className}"`}>${escaped(content)}</text>`
}

export function box(x: number, y: number, width: number, height: number, className: string): string {
  return `<rect x="${point(x)}" y="${point(y)}" width="${point(width)}" height="${point(height)}" class="${className}" stroke="none"/>`
}

export function line(x1: number, y1: number, x2: number, y2: number, className: string): string {
  return `<line x1="${point(x1)}" y1="${point(y1)}" x2="${point(x2)}" y2="${point(y2)}" class="${className}"/>`
}

/** Points joined, each marked. */
export function path(points: readonly (readonly [number, number])[], className: string): string {
  const joined = points.map(([x, y]) => `${point(x)},${point(y)}`).join(' ')
  const marks = points.map(
    ([x, y]) => `<circle cx="${point(x)}" cy="${point(y)}" r="3" class="${className}"/>`,
  )
  return [`<polyline points="${joined}" class="${className} line"/>`, ...marks].join('\n')
}

function point(value: number): string {
  return String(Math.round(value * 10) / 10)
}

function escaped(content: string): string {
  return content
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
