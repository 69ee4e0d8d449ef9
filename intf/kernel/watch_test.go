package kernel

import (
	"errors"
	"os"
	"testing"
	"time"
)

func TestWatchEndsWithClose(t *testing.T) {
	own, err := Own()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	for _, c := range []struct {
		name  string
		pause time.Duration // before Close: none, and enough for Next to wait
	}{{"before it waits", 0}, {"while it waits", 50 * time.Millisecond}} {
		t.Run(c.name, func(t *testing.T) {
			w, err := own.Watch(false)
			if err != nil {
				t.Fatalf("no netlink socket: %v", err)
			}
			ended := make(chan error, 1)
			go func() {
				for {
					if _, err := w.Next(); err != nil && !errors.Is(err, ErrOverrun) {
						ended <- err
						return
					}
				}
			}()
			time.Sleep(c.pause)
			w.Close()
			if err := <-ended; !errors.Is(err, os.ErrClosed) {
				t.Errorf("error is %v, want %v", err, os.ErrClosed)
			}
		})
	}
}
