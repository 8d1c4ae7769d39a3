// Cable joins two TAP devices, which it makes in the network namespace that it runs in, as a long wire joins two
// machines: each frame arrives after a delay, no faster than a rate allows, or not at all.
//
//	cable -delay 30ms -mbit 10 -loss 0.01 left right
//
// It prints "ready" when both ends exist, and carries until it is killed. Delay, rate and loss are those of one
// direction; both directions have the same.
package main

import (
	"flag"
	"fmt"
	"log"
	"math/rand"
	"syscall"
	"time"
	"unsafe"
)

const (
	maxFrame = 9018
	// Frames on their way in one direction; more are lost.
	maxFlying = 65536
	// How long a frame waits for those before it on a slow wire; then it is lost, as in a router's buffer.
	maxWait = 200 * time.Millisecond
)

type wire struct {
	delay time.Duration
	mbit  float64
	loss  float64
}

type flight struct {
	frame   []byte
	arrival time.Time
}

func main() {
	var w wire
	flag.DurationVar(&w.delay, "delay", 0, "of every frame, one way")
	flag.Float64Var(&w.mbit, "mbit", 0, "megabits a second, each way; 0: as many as come")
	flag.Float64Var(&w.loss, "loss", 0, "the share of frames that are lost, from 0 to 1")
	flag.Parse()
	if flag.NArg() != 2 {
		log.Fatal("usage: cable [-delay 30ms] [-mbit 10] [-loss 0.01] LEFT RIGHT")
	}
	left, right := openTap(flag.Arg(0)), openTap(flag.Arg(1))
	fmt.Println("ready")
	go w.carry(left, right)
	w.carry(right, left)
}

// Takes frames in at one end. The kernel has finished their checksums and cut them to the MTU: a TAP device promises
// neither offload.
func (w wire) carry(from, to int) {
	flights := make(chan flight, maxFlying)
	go deliver(flights, to)
	buffer := make([]byte, maxFrame)
	sent := time.Now()
	for {
		n, err := syscall.Read(from, buffer)
		if err == syscall.EINTR || isDown(err) {
			continue
		}
		if err != nil {
			log.Fatal("read: ", err)
		}
		now := time.Now()
		if sent.Before(now) {
			sent = now
		}
		if rand.Float64() < w.loss || sent.Sub(now) > maxWait {
			continue
		}
		if w.mbit > 0 {
			sent = sent.Add(time.Duration(float64(n) * 8 * 1000 / w.mbit))
		}
		select {
		case flights <- flight{append([]byte(nil), buffer[:n]...), sent.Add(w.delay)}:
		default:
		}
	}
}

// Lets frames out at the other end, in their order, each at its time. The runtime's own timers are a millisecond
// coarse, which is more than a short cable's delay: the thread itself sleeps.
func deliver(flights <-chan flight, to int) {
	for next := range flights {
		if left := time.Until(next.arrival); left > 0 {
			wait := syscall.NsecToTimespec(left.Nanoseconds())
			for syscall.Nanosleep(&wait, &wait) == syscall.EINTR {
			}
		}
		if _, err := syscall.Write(to, next.frame); err != nil && !isDown(err) && err != syscall.ENOBUFS {
			log.Fatal("write: ", err)
		}
	}
}

// An end that is switched off, or being moved to another namespace, loses frames and comes back.
func isDown(err error) bool {
	if err == syscall.EIO || err == syscall.EBADFD {
		time.Sleep(time.Millisecond)
		return true
	}
	return false
}

// Makes a TAP device, or takes one that nobody holds (linux/if_tun.h).
func openTap(name string) int {
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		log.Fatal("/dev/net/tun: ", err)
	}
	var request struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:syscall.IFNAMSIZ-1], name)
	request.flags = syscall.IFF_TAP | syscall.IFF_NO_PI
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.TUNSETIFF, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		log.Fatal(name, ": ", errno)
	}
	return fd
}
