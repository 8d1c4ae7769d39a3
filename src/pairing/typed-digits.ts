/**
 * Compares the digits of a question with what a person typed from the other screen. `no-digits`: what was typed is not six digits,
 * so it is a misunderstanding and says nothing of the pairing. Spaces and dashes do not count, nor full-width digits (Unicode, NFKC).
 * Where a difference is, is not told: three tries, and then a no, leave nothing to be guessed.
 */
export function compareDigits(digits: string, typed: string): 'same' | 'other' | 'no-digits' {
  const plain = typed.normalize('NFKC').replaceAll(/[\s\p{Pd}]/gu, '')
  if (!/^\d{6}$/u.test(plain)) return 'no-digits'
  return plain === digits ? 'same' : 'other'
}
