package pairing

// announcementMark tells the holders of a code that an announcement on the local network is its other device's.
func announcementMark(announcementKey []byte, role Role, peerID, nonce string, addresses []string) []byte {
	parts := append([]string{string(role), peerID, nonce}, addresses...)
	return MAC(announcementKey, Fields(parts...))[:16]
}
