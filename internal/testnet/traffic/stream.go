package traffic

import (
	"context"
	"time"
)

// burstTime is how long Stream's bursts are apart at least: a call for more than
// one packet waits for grace periods of RCU besides.
const burstTime = 10 * time.Millisecond

// Stream sends about rate packets a second until ctx ends, of all flows in turn,
// which are of one station, and returns how many. They come in bursts, each as
// fast as one CPU makes them. cpu is as for Blast.
func Stream(ctx context.Context, cpu, rate int, flows ...*Flow) (packets uint64, err error) {
	var before uint64
	for _, f := range flows {
		n, err := f.Sent()
		if err != nil {
			return 0, err
		}
		before += n
	}
	_, err = flows[0].send(cpu, func() error {
		start, sent := time.Now(), 0
		for ctx.Err() == nil {
			due := int(time.Since(start).Seconds() * float64(rate))
			if n := (due - sent) / len(flows); n >= batch {
				for _, f := range flows {
					if err := f.run(n); err != nil {
						return err
					}
					sent += n
				}
			}
			time.Sleep(burstTime)
		}
		return nil
	})
	var after uint64
	for _, f := range flows {
		n, err := f.Sent()
		if err != nil {
			return 0, err
		}
		after += n
	}
	return after - before, err
}
