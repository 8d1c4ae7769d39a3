// Package session is the long-lived stream between two paired devices: the
// hello that proves the pair key, and the frames that follow it.
package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

type frameType byte

const (
	dialerHello       frameType = 0x01
	listenerHello     frameType = 0x02
	dialerProof       frameType = 0x03
	unknownDevice     frameType = 0x04
	revoked           frameType = 0x05
	otherVersion      frameType = 0x06
	request           frameType = 0x10
	response          frameType = 0x11
	failure           frameType = 0x12
	cancel            frameType = 0x13
	ping              frameType = 0x14
	pong              frameType = 0x15
	goodbye           frameType = 0x16
	openStream        frameType = 0x20
	accept            frameType = 0x21
	data              frameType = 0x22
	end               frameType = 0x23
	credit            frameType = 0x24
	stop              frameType = 0x25
	reset             frameType = 0x26
	event             frameType = 0x28
	eventCredit       frameType = 0x29
	systemEventCredit frameType = 0x2a
)

// firstOptional is the first of the types that may be passed over unknown.
const firstOptional frameType = 0x60

const (
	headerSize   = 9
	moreFollow   = 0x80
	maxPayload   = 65536
	maxErrorText = 8192
)

// shape is what a frame of one type looks like.
type shape struct {
	min, max  uint32
	channel   bool
	continued bool
}

var shapes = map[frameType]shape{
	dialerHello:       {min: 1, max: 256},
	listenerHello:     {min: 1, max: 256},
	dialerProof:       {min: 1, max: 256},
	unknownDevice:     {},
	revoked:           {min: 32, max: 64},
	otherVersion:      {min: 1, max: 16},
	request:           {min: 1, max: maxPayload, channel: true, continued: true},
	response:          {min: 0, max: maxPayload, channel: true, continued: true},
	failure:           {min: 2, max: maxErrorText, channel: true},
	cancel:            {channel: true},
	ping:              {min: 8, max: 8},
	pong:              {min: 8, max: 8},
	goodbye:           {max: 64},
	openStream:        {min: 1, max: maxPayload, channel: true},
	accept:            {channel: true},
	data:              {min: 1, max: maxPayload, channel: true},
	end:               {channel: true},
	credit:            {min: 4, max: 4, channel: true},
	stop:              {min: 2, max: maxErrorText, channel: true},
	reset:             {min: 2, max: maxErrorText, channel: true},
	event:             {min: 1, max: maxPayload},
	eventCredit:       {min: 4, max: 4},
	systemEventCredit: {min: 4, max: 4},
}

// frame is one of the session's units.
type frame struct {
	kind    frameType
	more    bool // of the same message
	channel uint32
	payload []byte
}

var errBrokenRules = errors.New("the other side broke the rules of the session")

// readFrame reads the next frame that is known; the header is checked before
// any payload is kept.
func readFrame(reader io.Reader) (frame, error) {
	for {
		if f, err := readAnyFrame(reader); err != nil || f.kind < firstOptional {
			return f, err
		}
	}
}

func readAnyFrame(reader io.Reader) (frame, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(reader, header[:]); err != nil {
		return frame{}, err
	}
	length := binary.BigEndian.Uint32(header[:4])
	f := frame{
		kind:    frameType(header[4] &^ moreFollow),
		more:    header[4]&moreFollow != 0,
		channel: binary.BigEndian.Uint32(header[5:]),
	}
	if f.kind >= firstOptional && length <= maxPayload {
		_, err := io.CopyN(io.Discard, reader, int64(length))
		return f, err
	}
	expected, known := shapes[f.kind]
	switch {
	case !known:
		return frame{}, fmt.Errorf("%w: a frame of type %#x", errBrokenRules, f.kind)
	case length < expected.min || length > expected.max || (f.kind == revoked && length%32 != 0):
		return frame{}, fmt.Errorf("%w: a frame of type %#x with %d bytes", errBrokenRules, f.kind, length)
	case (f.channel != 0) != expected.channel:
		return frame{}, fmt.Errorf("%w: a frame of type %#x on channel %d", errBrokenRules, f.kind, f.channel)
	case f.more && (!expected.continued || length == 0):
		return frame{}, fmt.Errorf("%w: a frame of type %#x to be continued", errBrokenRules, f.kind)
	}
	f.payload = make([]byte, length)
	if _, err := io.ReadFull(reader, f.payload); err != nil {
		return frame{}, err
	}
	return f, nil
}

// encode is the frame as it is written.
func (f frame) encode() []byte {
	encoded := make([]byte, 0, headerSize+len(f.payload))
	encoded = binary.BigEndian.AppendUint32(encoded, uint32(len(f.payload)))
	kind := byte(f.kind)
	if f.more {
		kind |= moreFollow
	}
	encoded = append(encoded, kind)
	encoded = binary.BigEndian.AppendUint32(encoded, f.channel)
	return append(encoded, f.payload...)
}
