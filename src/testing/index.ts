export { simulate, type SimulateOptions } from './simulate.ts'
export {
  createSimulation,
  type Simulation,
  type SimulationLogLine,
  type SimulationOptions,
} from './simulation.ts'
export type { DeviceOptions, SimulatedDevice } from './simulated-device.ts'
export type { Faults, Firewall } from './simulated-network.ts'
export type { ClearTimer, SimulatedTimer, SimulationClock, StartTimer } from './simulation-clock.ts'
