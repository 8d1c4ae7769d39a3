package pairing

import (
	"bytes"
	"crypto/rand"
	"sync"
	"time"
)

// InvitationOptions is what an invitation is made of.
type InvitationOptions struct {
	// Self is this device's peer id, as text, and Name its name.
	Self string
	Name string
	Rows Rows
	// Ask has a person compare the digits. It must not block; the answer comes
	// with Approve. Without it nobody is asked.
	Ask func(peerID, name, digits string)
	// Finished is called once, with the pairing or the reason why there is none.
	Finished func(Pairing, Reason)
	// SendCancel tells the other device that the pairing was called off here.
	SendCancel func(peerID string, cancel Message)
}

type invitationState int

const (
	open      invitationState = iota
	approving                 // a Response was right; a person is asked
	completed                 // `pending` is stored; waits for Confirmed
	paired
	ended
)

// Invitation is a live code: the initiator's side. Storing takes no time of
// its own here, so there is no state for it.
type Invitation struct {
	options InvitationOptions
	keys    CodeKeys
	words   string

	mu       sync.Mutex
	state    invitationState
	reason   Reason // why it ended
	agreed   bool   // it had stored `pending` when it ended
	startsAt time.Time
	since    time.Time // of the state
	attempts []*attempt
	winner   *proof
	answer   Message // Complete, once there is one
	pairing  Pairing
}

// NewInvitation makes a code, whose lifetime begins now.
func NewInvitation(options InvitationOptions) (*Invitation, error) {
	entropy := make([]byte, EntropySize)
	_, _ = rand.Read(entropy)
	words, err := Words(entropy)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &Invitation{options: options, keys: NewCodeKeys(entropy), words: words, startsAt: now, since: now}, nil
}

// Words are what a person reads from the screen.
func (i *Invitation) Words() string { return i.words }

// Keys are those of the code.
func (i *Invitation) Keys() CodeKeys { return i.keys }

// Over says whether the invitation need not be remembered any more.
func (i *Invitation) Over() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.look()
	return (i.state == ended || i.state == paired) && time.Since(i.since) > RemembranceTime
}

// Open says whether somebody may still use the code.
func (i *Invitation) Open() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.look()
	return i.state == open
}

// Unused says whether nobody has shown yet that they have the words.
func (i *Invitation) Unused() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.look()
	return i.state == open && len(i.attempts) == 0
}

// Handle answers a question of a peer; nil is silence.
func (i *Invitation) Handle(peer string, question Message) *Message {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.look()
	switch question.Type {
	case PairingRequest:
		return i.handleRequest(peer, question)
	case Response:
		return i.handleResponse(peer, question)
	case Confirmed:
		return i.handleConfirmed(peer, question)
	case Cancel:
		return i.handleCancel(peer, question)
	default:
		return nil
	}
}

func (i *Invitation) handleRequest(peer string, request Message) *Message {
	start := startHash(i.options.Self, peer)
	if request.Suite != Suite || !same(request.Probe, requestProbe(i.keys.ProbeKey, start, request.Commitment)) {
		return nil
	}
	hash := requestHash(start, request)
	if i.state != open {
		reason := Used
		if i.state == ended {
			reason = i.reason
		}
		return i.refuse(hash, reason)
	}
	current := i.openAttemptOf(peer)
	for _, each := range i.attempts {
		if each.peer != peer || !each.asks(request) {
			continue
		}
		if each.closed {
			return nil
		}
		return &each.challenge
	}
	if len(i.attempts) == maxTries {
		i.end(Burnt)
		return i.refuse(hash, Burnt)
	}
	if i.placesTaken(current) >= maxOpenAttempts {
		return nil
	}
	if current != nil {
		current.closed = true
	}
	added, err := newAttempt(i.keys, peer, request, hash, time.Now())
	if err != nil {
		return nil
	}
	i.attempts = append(i.attempts, added)
	return &added.challenge
}

func (i *Invitation) handleResponse(peer string, response Message) *Message {
	if i.winner != nil && i.winner.peer == peer {
		return i.repeat(response)
	}
	current := i.openAttemptOf(peer)
	if current == nil {
		return nil
	}
	proved, err := current.prove(i.keys, response)
	if i.state != open {
		if err != nil {
			return nil
		}
		if i.state == ended {
			return proved.refuse(i.reason)
		}
		return proved.refuse(Used)
	}
	if err != nil {
		if !current.opens(response) && i.opensClosedAttempt(peer, response) {
			return nil
		}
		i.end(Burnt)
		return nil
	}
	i.winner = proved
	i.enter(approving)
	if i.options.Ask == nil {
		i.approve(true)
		return i.repeat(response)
	}
	i.options.Ask(peer, proved.name, digitsOf(proved.keys, proved.opening))
	return &Message{Type: Waiting}
}

// repeat answers the Response that has won with whatever stands now.
func (i *Invitation) repeat(response Message) *Message {
	won := i.winner.response
	if !bytes.Equal(won.Proof, response.Proof) || !bytes.Equal(won.Sealed, response.Sealed) ||
		!bytes.Equal(won.Nonce, response.Nonce) || !bytes.Equal(won.Share, response.Share) {
		return nil
	}
	switch i.state {
	case approving:
		return &Message{Type: Waiting}
	case completed, paired:
		return &i.answer
	default:
		return i.winner.refuse(i.reason)
	}
}

func (i *Invitation) handleConfirmed(peer string, confirmed Message) *Message {
	if i.winner == nil || i.winner.peer != peer || i.pairing.PairKey == nil ||
		!same(confirmed.Acknowledgement, i.pairing.Acknowledgement) {
		return nil
	}
	switch i.state {
	case completed:
		// The joiner asks again, so a disk that is full for a moment ends nothing.
		if err := i.options.Rows.Activate(peer); err != nil {
			return nil
		}
		i.enter(paired)
		i.options.Finished(i.pairing, "")
		return &Message{Type: Acknowledged}
	case paired:
		return &Message{Type: Acknowledged}
	case ended:
		if !i.agreed {
			return nil
		}
		return i.winner.refuse(i.reason)
	default:
		return nil
	}
}

func (i *Invitation) handleCancel(peer string, cancel Message) *Message {
	current := i.openAttemptOf(peer)
	if current == nil || !same(cancel.MAC, cancelMAC(i.keys.ProbeKey, Joiner, current.hash)) {
		return nil
	}
	if i.winner == nil || i.winner.attempt != current {
		current.closed = true
	} else if i.state == approving || i.state == completed {
		i.end(Cancelled)
	}
	return &Message{Type: Acknowledged}
}

// Approve is the person's answer.
func (i *Invitation) Approve(yes bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.look()
	if i.state == approving {
		i.approve(yes)
	}
}

func (i *Invitation) approve(yes bool) {
	if !yes {
		i.end(Declined)
		return
	}
	answer, pairing, err := i.winner.complete(i.options.Name)
	if err == nil {
		err = i.options.Rows.PutProvisional(Initiator, pairing)
	}
	if err != nil {
		i.end(Failed)
		return
	}
	i.answer, i.pairing = answer, pairing
	i.enter(completed)
}

// Cancel calls the invitation off.
func (i *Invitation) Cancel() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.look()
	if i.state == paired || i.state == ended {
		return
	}
	if i.winner != nil {
		mac := cancelMAC(i.keys.ProbeKey, Initiator, i.winner.attempt.hash)
		i.options.SendCancel(i.winner.peer, Message{Type: Cancel, MAC: mac})
	}
	i.end(Cancelled)
}

// Look ends what is over by the clock; to be called now and then.
func (i *Invitation) Look() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.look()
}

func (i *Invitation) look() {
	lifetimeOver := i.state == open && time.Since(i.startsAt) >= InvitationLifetime
	approvalOver := i.state == approving && time.Since(i.since) >= ApprovalTime
	if lifetimeOver || approvalOver {
		i.end(Expired)
	}
}

func (i *Invitation) end(reason Reason) {
	if i.state == completed {
		i.agreed = true
		// A row that stays in spite of it grants nothing, and ends by itself.
		_ = i.options.Rows.Forget(i.winner.peer)
	}
	i.reason = reason
	i.enter(ended)
	i.options.Finished(Pairing{}, reason)
}

func (i *Invitation) enter(state invitationState) {
	i.state, i.since = state, time.Now()
}

func (i *Invitation) refuse(request []byte, reason Reason) *Message {
	return &Message{Type: Refused, Reason: reason, MAC: requestRefusal(i.keys.ProbeKey, request, reason)}
}

func (i *Invitation) openAttemptOf(peer string) *attempt {
	for _, each := range i.attempts {
		if each.peer == peer && !each.closed {
			return each
		}
	}
	return nil
}

func (i *Invitation) opensClosedAttempt(peer string, response Message) bool {
	for _, each := range i.attempts {
		if each.peer == peer && each.closed && each.opens(response) {
			return true
		}
	}
	return false
}

// placesTaken counts the attempts that are still without a Response, but for
// the one that is about to be replaced.
func (i *Invitation) placesTaken(replaced *attempt) int {
	taken := 0
	for _, each := range i.attempts {
		if each != replaced && !each.closed && time.Since(each.openedAt) < attemptTime {
			taken++
		}
	}
	return taken
}
