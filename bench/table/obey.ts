/** Carries out the orders of the benchmark that started this process, one at a time, and goes with it. */
export function obey(carryOut: (order: never) => Promise<unknown>): void {
  process.on('message', (order) => {
    carryOut(order as never).then(
      (answer) => process.send?.({ answer }),
      (error: unknown) => process.send?.({ error: error instanceof Error ? error.stack : String(error) }),
    )
  })
  process.once('disconnect', () => process.exit())
  process.send?.({ answer: 'ready' })
}
