package logs

import (
	"log/slog"
	"strings"
	"sync"
	"time"
)

// A ring keeps the newest records for clients of the router: at most ringRecords of
// them, and ringOctets of text.
const (
	ringRecords = 1024
	ringOctets  = 128 << 10
)

// A Record is a record that is kept.
type Record struct {
	Time    time.Time
	Level   slog.Level
	Message string
	Attrs   [][2]string // keys, with the names of groups in front, and values
}

// A kept record has its attributes as one text: it takes half the memory so.
type kept struct {
	time    time.Time
	level   slog.Level
	message string
	attrs   string
}

func (k *kept) size() int { return len(k.message) + len(k.attrs) }

type ring struct {
	mu     sync.Mutex
	list   []kept // the oldest at first, once all of it is used
	first  int
	last   uint64 // number of the newest; they count from 1
	octets int
	more   chan struct{} // closed when another one comes; nil while nobody waits
}

// add keeps a record. It never waits.
func (r *ring) add(rec slog.Record, attrs []pair) {
	var b strings.Builder
	for _, a := range attrs {
		b.WriteString(a.key)
		b.WriteByte(0)
		b.WriteString(strings.ReplaceAll(a.value, "\x00", ""))
		b.WriteByte(0)
	}
	k := kept{time: rec.Time, level: rec.Level, message: rec.Message, attrs: b.String()}
	const most = 8 << 10 // of one record
	if len(k.attrs) > most {
		k.attrs = ""
	}
	if len(k.message) > most {
		k.message = strings.ToValidUTF8(k.message[:most], "")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.list)-r.first > 0 && (len(r.list)-r.first >= ringRecords || r.octets+k.size() > ringOctets) {
		r.octets -= r.list[r.first].size()
		r.list[r.first] = kept{}
		r.first++
	}
	if r.first > ringRecords {
		r.list = append(r.list[:0], r.list[r.first:]...)
		r.first = 0
	}
	r.list = append(r.list, k)
	r.octets += k.size()
	r.last++
	if r.more != nil {
		close(r.more)
		r.more = nil
	}
}

// Since appends the records that came after number, 0 for all that are kept, to dst,
// the oldest first. last is the number of the newest; lost is how many came after number
// and are gone; more is closed when another one comes. Records below the level that
// the log is written at are not kept.
func (l *Log) Since(dst []Record, number uint64) (list []Record, last, lost uint64, more <-chan struct{}) {
	r := l.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.more == nil {
		r.more = make(chan struct{})
	}
	has := uint64(len(r.list) - r.first)
	oldest := r.last - has // number of the one before the oldest
	if number > 0 && number < oldest {
		lost = oldest - number
	}
	skip := uint64(0)
	if number > oldest {
		skip = min(number-oldest, has)
	}
	for _, k := range r.list[r.first+int(skip):] {
		rec := Record{Time: k.time, Level: k.level, Message: k.message}
		words := strings.Split(k.attrs, "\x00")
		for i := 0; i+1 < len(words); i += 2 {
			rec.Attrs = append(rec.Attrs, [2]string{words[i], words[i+1]})
		}
		dst = append(dst, rec)
	}
	return dst, r.last, lost, r.more
}
