package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"time"

	"router/dataplane/driver"
	"router/dataplane/port"
	"router/internal/testnet/traffic"
	"router/intf"
)

// What forwards in user space beside routerd, between the ports of the kernel's
// namespace: both only rewrite addresses, without looking anything up.

// rewrites says why a device that looks nothing up has no part in a scenario: what
// it does is the same with every table.
func rewrites(s *scenario) string {
	if s.Kind == filters || s.Kind == instances || s.Table != "1000" {
		return "it has no table, and is measured with 1,000 routes only"
	}
	return ""
}

// workerCPU is where they run: not with the generator, as far as there is another.
func workerCPU() int { return min(1, runtime.NumCPU()-1) }

// rewriterBuffers is how many frames a rewriter has room for.
const rewriterBuffers = 16384

// rewriter forwards by routerd's own AF_XDP driver until end is called: what the
// driver and the kernel take, and no router.
func (k *kernelRouter) rewriter() (end func() error, err error) {
	memory, err := driver.NewMemory(rewriterBuffers)
	if err != nil {
		return nil, err
	}
	var devices [2]*driver.Device
	stop, done := make(chan struct{}), make(chan error, 1)
	closeAll := func() error {
		var errs []error
		for _, d := range devices {
			if d != nil {
				errs = append(errs, d.Close())
			}
		}
		return errors.Join(append(errs, memory.Close())...)
	}
	ns := k.w.spaces[inKernel]
	err = ns.Do(func() (err error) {
		for i, name := range ports {
			if devices[i], err = driver.Open(driver.Spec{Device: name, Driver: intf.DriverAFXDP, Memories: []*driver.Memory{memory}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, closeAll())
	}
	header := append(append([]byte{}, k.w.sinkMAC("kernel")...), ns.MAC(k.w.t, ports[1])...)
	go func() {
		runtime.LockOSThread()
		restore, err := traffic.Pin(workerCPU())
		if err != nil {
			done <- err
			return
		}
		defer restore()
		in, out := devices[0].Queues[0], devices[1].Queues[0]
		rewrite(memory.Pool, in, out, header, stop)
		done <- errors.Join(in.Close(), out.Close())
	}()
	return func() error {
		close(stop)
		return errors.Join(<-done, closeAll())
	}, nil
}

// rewrite sends what comes in by one queue out by another, with header in front,
// until stop is closed.
func rewrite(pool *port.Pool, in, out port.Queue, header []byte, stop <-chan struct{}) {
	var bufs [64]port.Buf
	for {
		select {
		case <-stop:
			return
		default:
		}
		for range 64 {
			n := in.Receive(bufs[:])
			if n == 0 {
				continue
			}
			for _, b := range bufs[:n] {
				copy(pool.Frame(b), header)
			}
			sent := out.Transmit(bufs[:n])
			for _, b := range bufs[sent:n] {
				pool.Put(b.Addr)
			}
			out.Flush()
		}
	}
}

// testpmd is DPDK's program to test drivers.
const testpmd = "dpdk-testpmd"

// noTestpmd says why testpmd can't be measured, "" when it can.
func noTestpmd() string {
	if _, err := exec.LookPath(testpmd); err != nil {
		return testpmd + " is not installed (Debian: dpdk-dev, librte-net-af-xdp23)"
	}
	return ""
}

// dpdkStop is how long testpmd may take to end.
const dpdkStop = 30 * time.Second

// dpdk has testpmd forward by DPDK's AF_XDP driver until end is called. It keeps the
// packets' addresses but for the link layer's (its mode "mac").
func (k *kernelRouter) dpdk() (end func() error, err error) {
	cpu := workerCPU()
	argv := []string{
		testpmd, "--no-huge", "-m", "256", "--no-shconf", "--no-pci", "--no-telemetry", "--lcores", fmt.Sprintf("0@%d,1@%d", cpu, cpu),
		"--vdev", "net_af_xdp0,iface=" + ports[0] + ",force_copy=1", "--vdev", "net_af_xdp1,iface=" + ports[1] + ",force_copy=1",
		"--", "--forward-mode=mac", "--eth-peer=1," + k.w.sinkMAC("kernel").String(), "--total-num-mbufs=16384",
		"--burst=64", "--rxd=2048", "--txd=2048", "--nb-cores=1", "--auto-start", "--no-lsc-interrupt",
	}
	var said bytes.Buffer
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &said, &said
	// It stops when it may read a line.
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	ns := k.w.spaces[inKernel]
	if err := ns.Start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", testpmd, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return func() error {
		_, _ = io.WriteString(in, "\n")
		var err error
		select {
		case err = <-ended:
		case <-time.After(dpdkStop):
			err = errors.Join(fmt.Errorf("%s had not ended after %v", testpmd, dpdkStop), cmd.Process.Kill())
			<-ended
		}
		if err != nil {
			text := said.String()
			err = fmt.Errorf("%w\n%s", err, text[max(0, len(text)-2000):])
		}
		// What it leaves at a port, others would stumble over.
		for _, port := range ports {
			_, off := ns.Run("ip", "link", "set", "dev", port, "xdp", "off")
			err = errors.Join(err, off)
		}
		return err
	}, nil
}
