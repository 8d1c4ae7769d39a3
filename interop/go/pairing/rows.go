package pairing

// Pairing is what a device keeps of one that it has paired with, or is about
// to.
type Pairing struct {
	PeerID          string
	Name            string
	PairKey         []byte
	Acknowledgement []byte
}

// Rows stores pairings. Each method returns when the change is durable.
type Rows interface {
	// PutProvisional stores a pairing that is not finished: `pending` at the
	// initiator, `confirming` at the joiner.
	PutProvisional(Role, Pairing) error
	// Activate finishes the provisional pairing with a peer.
	Activate(peerID string) error
	// Forget drops the provisional pairing with a peer, if there is one.
	Forget(peerID string) error
}
