package gribi

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"router/cmd/routerd/datastore/journal"
)

// The file is a sequence of frames, one for each batch of operations. All numbers are big endian:
//
//	0  4  magic, "RGB1"
//	4  4  length of the payload
//	8  8  number of the frame, counted from 1
//	16 4  CRC32C of octets 0 to 15 and of the payload
//	20    payload: records
//
// It grows by what is done, and is written anew, from what there is, when it has become twice
// as large. What is written outlives the process at once; it is flushed to the disk within a
// second, so that a crash of the machine may lose the last second. An election id is flushed before
// it is acknowledged.
const (
	frameMagic  = 0x52474231
	frameHeader = 20
	keepName    = "gribi"
	keepTmp     = keepName + ".tmp"
	asideFormat = "20060102T150405.000000000Z"

	// compactFrom is the least size at which the file is written anew.
	compactFrom = 1 << 20
	// keepRetry is how long after a failure the file is written anew.
	keepRetry = 10 * time.Second
	// keepSync is how often what was written is flushed.
	keepSync = time.Second
	// never is as long as to wait for what is told.
	never = time.Duration(1<<63 - 1)
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A keeper has what outlives the process in its file: the entries of clients that asked for
// that, and the election. Methods that note something are called under Server.mu, the others by
// anybody; a nil one keeps nothing. A failure is nobody's error: reason tells of it, and the file is
// empty until it can be written anew.
type keeper struct {
	fs   journal.FS
	dir  string
	log  *slog.Logger
	now  func() time.Time
	wake func() // has tend called soon

	// batch is the frame that grows: a header to be filled in, and records. Server.mu guards
	// it, and not mu: what is noted while the router's tables are held must not wait for a disk.
	batch []byte

	mu      sync.Mutex
	file    journal.File // nil after a failure
	size    int64
	compact int64 // the size from which on it is written anew
	number  uint64
	dirty   bool  // not flushed
	err     error // why nothing is kept; nil while all is
	retry   time.Time
	synced  time.Time // when it was flushed last
	// shadow are the frames since the file began to be written anew; nil while it isn't.
	shadow    []byte
	rewriting bool
}

// start begins the records of a frame.
func (k *keeper) start() {
	if len(k.batch) == 0 {
		k.batch = append(k.batch, make([]byte, frameHeader)...)
	}
}

// set notes an entry.
func (k *keeper) set(o *operation) {
	if k == nil {
		return
	}
	k.start()
	k.batch = appendSet(k.batch, o)
}

// removeRoute notes that an entry of a prefix is gone.
func (k *keeper) removeRoute(instance string, p netip.Prefix) {
	if k == nil {
		return
	}
	k.start()
	k.batch = appendPrefix(appendHead(k.batch, removeRouteRecord, instance), p)
}

// remove notes that a group or a next hop is gone.
func (k *keeper) remove(kind recordKind, instance string, index uint64) {
	if k == nil {
		return
	}
	k.start()
	k.batch = binary.AppendUvarint(appendHead(k.batch, kind, instance), index)
}

// elect notes the election, and has it on the disk when it returns.
func (k *keeper) elect(single bool, id uint128) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.start()
	k.batch = appendElection(k.batch, single, id)
	k.writeBatch()
	k.sync()
}

// write has what was noted in the file when it returns.
func (k *keeper) write() {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writeBatch()
}

// writeBatch writes the frame. The caller holds Server.mu and k.mu.
func (k *keeper) writeBatch() {
	if len(k.batch) <= frameHeader {
		return
	}
	if k.file == nil && k.err == nil && !k.rewriting {
		k.create()
	}
	k.number++
	frame := seal(k.batch, k.number)
	if k.batch = k.batch[:0]; cap(k.batch) > compactFrom {
		k.batch = nil
	}
	if k.rewriting {
		k.shadow = append(k.shadow, frame...)
	}
	if k.file == nil {
		return
	}
	if _, err := k.file.WriteAt(frame, k.size); err != nil {
		k.fail(err)
		return
	}
	if !k.dirty {
		k.dirty = true
		k.wake()
	}
	if k.size += int64(len(frame)); k.size >= k.compact && !k.rewriting {
		k.wake()
	}
}

// create makes the file, where nothing was kept so far. The caller holds k.mu.
func (k *keeper) create() {
	file, err := k.fs.OpenFile(filepath.Join(k.dir, keepName), os.O_CREATE|os.O_TRUNC|os.O_RDWR)
	if err == nil {
		k.file, k.size, k.number, k.compact = file, 0, 0, compactFrom
		err = k.fs.SyncDir(k.dir)
	}
	if err != nil {
		k.fail(err)
	}
}

// seal fills in the header of a frame.
func seal(frame []byte, number uint64) []byte {
	binary.BigEndian.PutUint32(frame[0:], frameMagic)
	binary.BigEndian.PutUint32(frame[4:], uint32(len(frame)-frameHeader))
	binary.BigEndian.PutUint64(frame[8:], number)
	binary.BigEndian.PutUint32(frame[16:], crc32.Update(crc32.Checksum(frame[:16], castagnoli), castagnoli, frame[frameHeader:]))
	return frame
}

// sync flushes what was written. The caller holds k.mu.
func (k *keeper) sync() {
	if k.file == nil || !k.dirty {
		return
	}
	k.dirty = false
	if err := k.file.Sync(); err != nil {
		k.fail(err)
	}
}

// fail gives the file up: what it has is not what there is any more, and must not be read. The
// caller holds k.mu.
func (k *keeper) fail(err error) {
	path := filepath.Join(k.dir, keepName)
	if k.err == nil {
		k.log.Error("gribi entries and election ids would not outlive routerd", "err", err)
	}
	k.err = fmt.Errorf("%s: %w", path, err)
	k.retry = k.now().Add(keepRetry)
	file := k.file
	k.file, k.dirty = nil, false
	var oerr error
	if file == nil {
		if file, oerr = k.fs.OpenFile(path, os.O_RDWR); errors.Is(oerr, fs.ErrNotExist) {
			k.wake()
			return
		}
	}
	if oerr == nil {
		oerr = errors.Join(file.Truncate(0), file.Sync(), file.Close())
	}
	if oerr != nil {
		k.log.Error("what is kept of gribi is out of date", "err", oerr)
	}
	k.wake()
}

// reason is why nothing is kept, empty while all is.
func (k *keeper) reason() string {
	if k == nil {
		return ""
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err == nil {
		return ""
	}
	return k.err.Error()
}

// tend flushes what was written, and says whether the file is to be written anew, and when it
// wants to be called again, never for when it says so.
func (k *keeper) tend(now time.Time) (anew bool, again time.Duration) {
	if k == nil {
		return false, never
	}
	k.mu.Lock()
	file := k.file
	wait := k.synced.Add(keepSync).Sub(now)
	flush := file != nil && k.dirty && (wait <= 0 || wait > keepSync)
	if flush {
		k.dirty, k.synced = false, now
	}
	k.mu.Unlock()
	if flush {
		// Not under the lock: a disk may take its time, and clients wait for nothing here.
		if err := file.Sync(); err != nil && !errors.Is(err, os.ErrClosed) {
			k.mu.Lock()
			if k.file == file {
				k.fail(err)
			}
			k.mu.Unlock()
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	again = never
	if k.dirty {
		again = max(min(k.synced.Add(keepSync).Sub(now), keepSync), 0)
	}
	switch {
	case k.rewriting:
	case k.err != nil:
		if wait := k.retry.Sub(now); wait > 0 && wait <= keepRetry {
			return false, wait
		}
		return true, keepRetry
	case k.file != nil && k.size >= k.compact:
		return true, again
	}
	return false, again
}

// begin begins to write the file anew: what is noted from now on comes behind what the caller
// finds now. The caller lets nobody note anything until it has found it.
func (k *keeper) begin() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writeBatch()
	k.rewriting, k.shadow = true, nil
}

// newFrame is a frame without records, which can be appended.
func newFrame() []byte { return make([]byte, frameHeader) }

// finish writes the file anew from a frame of all the records there are.
func (k *keeper) finish(all []byte) {
	err := k.replace(seal(all, 1))
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rewriting, k.shadow = false, nil
	if err != nil {
		k.fail(err)
		return
	}
	if k.err != nil {
		k.log.Info("gribi entries and election ids outlive routerd again")
		k.err = nil
	}
}

// replace puts a file of its own in the place of the one there is.
func (k *keeper) replace(first []byte) (err error) {
	tmp, path := filepath.Join(k.dir, keepTmp), filepath.Join(k.dir, keepName)
	file, err := k.fs.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_RDWR)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
			if rerr := k.fs.Remove(tmp); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
				err = errors.Join(err, rerr)
			}
		}
	}()
	if _, err = file.WriteAt(first, 0); err == nil {
		err = file.Sync()
	}
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	// What came meanwhile is little: it is written while others wait.
	rest, number, err := renumber(k.shadow, 2)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		if _, err = file.WriteAt(rest, int64(len(first))); err != nil {
			return err
		}
	}
	if err = file.Sync(); err != nil {
		return err
	}
	if err = k.fs.Rename(tmp, path); err != nil {
		return err
	}
	if err = k.fs.SyncDir(k.dir); err != nil {
		return err
	}
	if k.file != nil {
		// Nobody reads it any more.
		_ = k.file.Close()
	}
	k.file, k.dirty, k.number = file, false, number-1
	k.size = int64(len(first) + len(rest))
	k.compact = max(2*k.size, compactFrom)
	return nil
}

// renumber gives the frames in b the numbers from first on, and says the next one.
func renumber(b []byte, first uint64) ([]byte, uint64, error) {
	for at := 0; at < len(b); first++ {
		payload, _, ok := parseFrame(b[at:])
		if !ok {
			return nil, 0, errors.New("a frame that was just made can't be read")
		}
		end := at + frameHeader + len(payload)
		seal(b[at:end:end], first)
		at = end
	}
	return b, first, nil
}

// parseFrame takes the frame at the start of b apart.
func parseFrame(b []byte) (payload []byte, number uint64, ok bool) {
	if len(b) < frameHeader || binary.BigEndian.Uint32(b) != frameMagic {
		return nil, 0, false
	}
	n := uint64(binary.BigEndian.Uint32(b[4:]))
	if n > uint64(len(b)-frameHeader) {
		return nil, 0, false
	}
	payload = b[frameHeader : frameHeader+n]
	if binary.BigEndian.Uint32(b[16:]) != crc32.Update(crc32.Checksum(b[:16], castagnoli), castagnoli, payload) {
		return nil, 0, false
	}
	return payload, binary.BigEndian.Uint64(b[8:]), true
}

// scanFile calls each for the records of a file: an operation, or the election. It returns how
// many frames there are, and how many octets at the end are no whole frame: they were being
// written when the machine went down. Anything else that is wrong is an error, and then nothing
// of the file is to be used.
func scanFile(b []byte, each func(o *operation, e *elected)) (frames uint64, torn int, err error) {
	for len(b) > 0 {
		payload, number, ok := parseFrame(b)
		if !ok {
			if nextFrame(b[1:]) >= 0 {
				return 0, 0, fmt.Errorf("frame %d is damaged", frames+1)
			}
			return frames, len(b), nil
		}
		if frames++; number != frames {
			return 0, 0, fmt.Errorf("frame %d is missing", frames)
		}
		r := reader{b: payload}
		for len(r.b) > 0 {
			o, e, err := r.next()
			if err != nil {
				return 0, 0, fmt.Errorf("frame %d: %w", frames, err)
			}
			each(&o, e)
		}
		b = b[frameHeader+len(payload):]
	}
	return frames, 0, nil
}

// nextFrame finds a whole frame in b, or -1.
func nextFrame(b []byte) int {
	magic := binary.BigEndian.AppendUint32(nil, frameMagic)
	for at := 0; ; at++ {
		i := bytes.Index(b[at:], magic)
		if i < 0 {
			return -1
		}
		at += i
		if _, _, ok := parseFrame(b[at:]); ok {
			return at
		}
	}
}

// openKeeper opens the file that a former run has left, and returns what scanFile is to read of
// it. One that can't be read is put aside, by name.
func openKeeper(f journal.FS, dir string, log *slog.Logger, now func() time.Time, wake func()) (k *keeper, left []byte) {
	k = &keeper{fs: f, dir: dir, log: log, now: now, wake: wake}
	path := filepath.Join(dir, keepName)
	left, err := f.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	var torn int
	if err == nil {
		k.number, torn, err = scanFile(left, func(*operation, *elected) {})
	}
	if err != nil {
		aside := filepath.Join(dir, "damaged-"+keepName+"-"+now().UTC().Format(asideFormat))
		log.Error("what was kept of gribi can't be read, and nothing of it is used", "err", err, "aside", aside)
		if err := f.Rename(path, aside); err != nil {
			log.Error("a damaged file of gribi stays where it is", "err", err)
		}
		return k, nil
	}
	if torn > 0 {
		log.Warn("the last that was kept of gribi was not written whole", "octets", torn)
		left = left[:len(left)-torn]
	}
	k.size = int64(len(left))
	k.compact = max(2*k.size, compactFrom)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.file, err = f.OpenFile(path, os.O_RDWR); err == nil && torn > 0 {
		err = k.file.Truncate(k.size)
	}
	if err != nil {
		k.fail(err)
	}
	return k, left
}

// anew has the file written anew soon.
func (k *keeper) anew() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.compact = 0
	k.wake()
}

// close flushes the file.
func (k *keeper) close() error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writeBatch()
	if k.file == nil {
		return nil
	}
	var err error
	if k.dirty {
		err = k.file.Sync()
	}
	err = errors.Join(err, k.file.Close())
	k.file = nil
	return err
}
