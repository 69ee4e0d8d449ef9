package driver

import (
	"router/dataplane/port"
	"router/dataplane/xsk"
)

// UseMemory is NewMemory for a pool that somebody else has made and will free,
// page-aligned and after all queues on it are closed.
func UseMemory(pool *port.Pool) *Memory { return &Memory{Pool: pool, umem: xsk.NewUMEM(pool)} }
