package pairing

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// JoinOptions is what a join is made of.
type JoinOptions struct {
	Self string
	Name string
	Rows Rows
	// Exchange asks a peer one question. An error says that nothing was answered.
	Exchange func(ctx context.Context, peerID string, question Message) (Message, error)
	// Ask has a person compare the digits, and waits for the answer. Without it
	// nobody is asked.
	Ask func(ctx context.Context, peerID, name, digits string) bool
}

// Failure is why a join did not end well.
type Failure struct {
	// Reason is the initiator's, or one of those below.
	Reason Reason
}

// Reasons that no message carries.
const (
	NotFound     Reason = "not-found"
	TooManyTries Reason = "too-many-tries"
	Interrupted  Reason = "interrupted"
	// Unfinished: the next session finishes it, or the row ends.
	Unfinished Reason = "unfinished"
)

func (f Failure) Error() string {
	return fmt.Sprintf("not paired: %s", f.Reason)
}

// Join is a search for the one who shows a code, and the pairing with it.
type Join struct {
	options JoinOptions
	keys    CodeKeys

	mu       sync.Mutex
	tries    int
	chosen   *contact // the initiator, once its Challenge was right
	cancel   context.CancelCauseFunc
	saidLast bool // Confirmed may be under way
}

// NewJoin begins nothing yet: Run does.
func NewJoin(entropy []byte, options JoinOptions) *Join {
	return &Join{options: options, keys: NewCodeKeys(entropy)}
}

// Keys are those of the code.
func (j *Join) Keys() CodeKeys { return j.keys }

// Run asks the candidates until one proves that it shows the code, and pairs
// with it. The context ends the search. An error is a Failure.
func (j *Join) Run(ctx context.Context, candidates <-chan string) (Pairing, error) {
	attempts, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	j.mu.Lock()
	j.cancel = cancel
	j.mu.Unlock()
	for {
		chosen, err := j.search(ctx, attempts, candidates)
		if err != nil {
			return Pairing{}, err
		}
		answer, err := j.repeat(attempts, chosen, chosen.response, ResponseTime)
		if errors.Is(err, context.DeadlineExceeded) {
			j.choose(nil)
			continue
		}
		if err != nil {
			return Pairing{}, j.failure(attempts, err)
		}
		return j.finish(attempts, chosen, answer)
	}
}

// Cancel calls the join off, until Confirmed may have been sent.
func (j *Join) Cancel() {
	j.mu.Lock()
	chosen, saidLast := j.chosen, j.saidLast
	cancel := j.cancel
	j.mu.Unlock()
	if cancel == nil {
		return
	}
	if saidLast {
		cancel(Failure{Unfinished})
		return
	}
	if chosen != nil {
		j.sendCancel(chosen)
	}
	cancel(Failure{Cancelled})
}

// Handle answers a Cancel of the initiator; nil is silence.
func (j *Join) Handle(peer string, question Message) *Message {
	j.mu.Lock()
	defer j.mu.Unlock()
	if question.Type != Cancel || j.chosen == nil || j.chosen.peer != peer ||
		!same(question.MAC, cancelMAC(j.keys.ProbeKey, Initiator, j.chosen.requestHash)) {
		return nil
	}
	j.cancel(Failure{Cancelled})
	return &Message{Type: Acknowledged}
}

// finish goes from the initiator's Complete to its Acknowledged.
func (j *Join) finish(ctx context.Context, chosen *contact, answer Message) (Pairing, error) {
	if answer.Type == Refused {
		return Pairing{}, Failure{answer.Reason}
	}
	pairing, err := chosen.complete(answer)
	if err != nil {
		return Pairing{}, Failure{Interrupted}
	}
	if j.options.Ask != nil {
		approval, done := context.WithTimeout(ctx, ApprovalTime)
		yes := j.options.Ask(approval, chosen.peer, pairing.Name, chosen.digits())
		late := approval.Err() != nil
		done()
		switch {
		case ctx.Err() != nil:
			return Pairing{}, j.failure(ctx, ctx.Err())
		case late:
			j.sendCancel(chosen)
			return Pairing{}, Failure{Expired}
		case !yes:
			j.sendCancel(chosen)
			return Pairing{}, Failure{Declined}
		}
	}
	if err := j.options.Rows.PutProvisional(Joiner, pairing); err != nil {
		j.sendCancel(chosen)
		return Pairing{}, Failure{Failed}
	}
	j.mu.Lock()
	calledOff := ctx.Err() != nil
	j.saidLast = !calledOff
	j.mu.Unlock()
	if calledOff {
		_ = j.options.Rows.Forget(chosen.peer)
		return Pairing{}, j.failure(ctx, ctx.Err())
	}
	return j.confirm(ctx, chosen, pairing)
}

func (j *Join) confirm(ctx context.Context, chosen *contact, pairing Pairing) (Pairing, error) {
	confirmed := Message{Type: Confirmed, Acknowledgement: pairing.Acknowledgement}
	answer, err := j.repeat(ctx, chosen, confirmed, AcknowledgementTime)
	if failure := (Failure{}); errors.As(context.Cause(ctx), &failure) && failure.Reason == Cancelled {
		_ = j.options.Rows.Forget(chosen.peer)
		return Pairing{}, failure
	}
	if err != nil {
		return Pairing{}, Failure{Unfinished}
	}
	if answer.Type == Refused {
		_ = j.options.Rows.Forget(chosen.peer)
		return Pairing{}, Failure{answer.Reason}
	}
	if err := j.options.Rows.Activate(chosen.peer); err != nil {
		return Pairing{}, Failure{Unfinished}
	}
	return pairing, nil
}

// repeat asks the same question until it is decided.
func (j *Join) repeat(ctx context.Context, chosen *contact, question Message, limit time.Duration) (Message, error) {
	ctx, done := context.WithTimeout(ctx, limit)
	defer done()
	for {
		answer, err := j.options.Exchange(ctx, chosen.peer, question)
		if err == nil && chosen.decides(question.Type, answer) {
			return answer, nil
		}
		select {
		case <-ctx.Done():
			return Message{}, ctx.Err()
		case <-time.After(RepeatInterval):
		}
	}
}

func (j *Join) choose(chosen *contact) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.chosen = chosen
}

func (j *Join) sendCancel(chosen *contact) {
	ctx, done := context.WithTimeout(context.Background(), PatienceTime)
	defer done()
	mac := cancelMAC(j.keys.ProbeKey, Joiner, chosen.requestHash)
	// Whether it arrives or not, it is over here; there, time ends it.
	_, _ = j.options.Exchange(ctx, chosen.peer, Message{Type: Cancel, MAC: mac})
}

func (j *Join) failure(ctx context.Context, err error) error {
	if failure := (Failure{}); errors.As(context.Cause(ctx), &failure) {
		return failure
	}
	if failure := (Failure{}); errors.As(err, &failure) {
		return failure
	}
	return Failure{Interrupted}
}
