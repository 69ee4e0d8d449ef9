package traffic

import (
	"context"
	"time"
)

// burstTime is how long Stream's bursts are apart at least: a call for more than
// one packet waits for grace periods of RCU besides.
const burstTime = 10 * time.Millisecond

// Stream sends about rate packets a second until ctx ends, and returns how many.
// They come in bursts, each as fast as one CPU makes them. cpu is as for Blast.
func (f *Flow) Stream(ctx context.Context, cpu, rate int) (packets uint64, err error) {
	return f.send(cpu, func() error {
		start, sent := time.Now(), 0
		for ctx.Err() == nil {
			due := int(time.Since(start).Seconds() * float64(rate))
			if n := due - sent; n >= batch {
				if err := f.run(n); err != nil {
					return err
				}
				sent += n
			}
			time.Sleep(burstTime)
		}
		return nil
	})
}
