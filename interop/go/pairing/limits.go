package pairing

import "time"

// The limits of the protocol.
const (
	InvitationLifetime  = 300 * time.Second
	ApprovalTime        = 60 * time.Second
	ResponseTime        = 75 * time.Second
	AcknowledgementTime = 60 * time.Second
	RemembranceTime     = 600 * time.Second
	ProvisionalLifetime = 7 * 24 * time.Hour
	maxTries            = 8
	maxOpenAttempts     = 4
	attemptTime         = 10 * time.Second

	// MaxMessageSize is that of a question or an answer, in bytes.
	MaxMessageSize = 4096
	// QuestionTime is how long a question may take to arrive.
	QuestionTime = 10 * time.Second
	// PatienceTime is how long an asker waits for an answer.
	PatienceTime = 8 * time.Second
	// RepeatInterval lies between two of the same question.
	RepeatInterval = 300 * time.Millisecond
)
