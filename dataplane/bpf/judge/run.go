package judge

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"router/dataplane/bpf/filters"
)

// A Packet is struct filter_packet.
type Packet = judgeFilterPacket

// A Call is struct call: what a packet is judged by, and then what became of it.
type Call = judgeCall

// A Verdict is enum filter_verdict.
type Verdict = judgeFilterVerdict

// The verdicts.
const (
	Pass     = judgeFilterVerdictFILTER_PASS
	Drop     = judgeFilterVerdictFILTER_DROP
	Instance = judgeFilterVerdictFILTER_INSTANCE
	NextHop  = judgeFilterVerdictFILTER_NEXT_HOP
	Up       = judgeFilterVerdictFILTER_UP
)

// A Judge is the program, loaded with a Store's filters. It is used by one goroutine at
// a time.
type Judge struct {
	program *ebpf.Program
	array   *ebpf.Map // of the call
	memory  []byte
	call    *Call
}

// New loads the program. A Store that has grown wants a new one.
func New(s *filters.Store) (*Judge, error) {
	spec, err := loadJudge()
	if err != nil {
		return nil, fmt.Errorf("read the embedded program: %w", err)
	}
	maps, err := s.Prepare(spec)
	if err != nil {
		return nil, err
	}
	all, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: maps})
	if err != nil {
		var refused *ebpf.VerifierError
		if errors.As(err, &refused) {
			return nil, fmt.Errorf("load the program: %+v", refused)
		}
		return nil, fmt.Errorf("load the program: %w", err)
	}
	defer all.Close()
	j := &Judge{program: all.DetachProgram("judge"), array: all.DetachMap("call")}
	if j.memory, err = unix.Mmap(j.array.FD(), 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, errors.Join(fmt.Errorf("map the call into memory: %w", err), j.program.Close(), j.array.Close())
	}
	j.call = (*Call)(unsafe.Pointer(unsafe.SliceData(j.memory)))
	return j, nil
}

// Run judges a frame as call says, and changes call.
func (j *Judge) Run(frame []byte, call *Call) error {
	*j.call = *call
	if _, err := j.program.Run(&ebpf.RunOptions{Data: frame}); err != nil {
		return fmt.Errorf("run the program: %w", err)
	}
	*call = *j.call
	return nil
}

// Time is how long a judgement takes, at the mean of n.
func (j *Judge) Time(frame []byte, call *Call, n int) (time.Duration, error) {
	*j.call = *call
	_, each, err := j.program.Benchmark(frame, n, nil)
	return each, err
}

// Constants are the values of the C side's enumerations, by their names.
func Constants() (map[string]int, error) {
	spec, err := loadJudge()
	if err != nil {
		return nil, fmt.Errorf("read the embedded program: %w", err)
	}
	all := map[string]int{}
	for t, err := range spec.Types.All() {
		if err != nil {
			return nil, fmt.Errorf("read the embedded program's types: %w", err)
		}
		if e, ok := t.(*btf.Enum); ok {
			for _, v := range e.Values {
				all[v.Name] = int(v.Value)
			}
		}
	}
	return all, nil
}

// Verified is how many instructions the kernel's verifier looked at; 0 where it doesn't say.
func (j *Judge) Verified() int {
	info, err := j.program.Info()
	if err != nil {
		return 0
	}
	n, _ := info.VerifiedInstructions()
	return int(n)
}

// Close unloads the program.
func (j *Judge) Close() error {
	return errors.Join(unix.Munmap(j.memory), j.program.Close(), j.array.Close())
}
