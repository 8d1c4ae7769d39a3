/** Protocols of the two DHTs, apart from what speaks them: that is loaded only where a DHT is used. */
export const privateDhtVersion = 1
export const privateDhtProtocol = `/spacedock/kad/${privateDhtVersion}.0.0`
export const publicDhtProtocol = '/ipfs/kad/1.0.0'
