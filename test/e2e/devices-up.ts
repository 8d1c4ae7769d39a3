import assert from 'node:assert/strict'
import { device, localPlace, type TestDevice } from '../device.ts'

const place = localPlace()

/** Daemons of these names that are up. */
export async function devicesUp(...names: string[]): Promise<TestDevice[] & AsyncDisposable> {
  const devices = await Promise.all(names.map((name) => device(place, { name })))
  const close = async (): Promise<void> => {
    await Promise.all(devices.map((each) => each.close()))
  }
  try {
    await Promise.all(devices.map((each) => each.up()))
  } catch (error) {
    await close()
    throw error
  }
  return Object.assign(devices, { [Symbol.asyncDispose]: close })
}

export function nth(devices: TestDevice[], index: number): TestDevice {
  const found = devices[index]
  assert.ok(found)
  return found
}
