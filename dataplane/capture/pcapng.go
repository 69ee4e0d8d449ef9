package capture

import (
	"encoding/binary"
	"io"
)

// Blocks and options of pcapng (draft-ietf-opsawg-pcapng, 4).
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 6
	blockStatistic = 5

	byteOrder = 0x1a2b3c4d
	ethernet  = 1 // LINKTYPE_ETHERNET

	optEnd       = 0
	optComment   = 1
	optName      = 2  // if_name
	optFilter    = 11 // if_filter
	optResolve   = 9  // if_tsresol
	optUser      = 4  // shb_userappl
	optFlags     = 2  // epb_flags
	optReceived  = 4  // isb_ifrecv
	optLost      = 5  // isb_ifdrop
	nanoseconds  = 9
	flagInbound  = 1
	flagOutbound = 2
)

// A Writer writes packets as pcapng: one section, one interface. Its octets go out by one Write for
// each block, so that a file is whole at any moment.
type Writer struct {
	w   io.Writer
	buf []byte
	n   int64
}

// NewWriter begins a file about the interface of a name. comment says in words what the capture
// sees, snap how many octets of each frame are kept.
func NewWriter(w io.Writer, name, filter, comment string, snap int) (*Writer, error) {
	x := &Writer{w: w}
	x.begin(blockSection)
	x.u32(byteOrder)
	x.u16(1)
	x.u16(0)
	x.u64(1<<64 - 1) // the section's length: not known
	x.option(optUser, "routerd")
	x.option(optComment, comment)
	x.end()
	if err := x.flush(); err != nil {
		return nil, err
	}
	x.begin(blockInterface)
	x.u16(ethernet)
	x.u16(0)
	x.u32(uint32(snap))
	x.option(optName, name)
	x.options(optResolve, []byte{nanoseconds})
	if filter != "" {
		x.option(optFilter, "\x00"+filter) // of libpcap's kind
	}
	x.end()
	return x, x.flush()
}

// Packet writes one packet.
func (x *Writer) Packet(p Packet) error {
	x.begin(blockPacket)
	x.u32(0)
	x.u32(uint32(uint64(p.At) >> 32))
	x.u32(uint32(p.At))
	x.u32(uint32(len(p.Data)))
	x.u32(uint32(p.Length))
	x.padded(p.Data)
	flags := uint32(flagInbound)
	if p.Out {
		flags = flagOutbound
	}
	x.options(optFlags, binary.LittleEndian.AppendUint32(nil, flags))
	x.end()
	return x.flush()
}

// Close writes how many packets were picked and how many of these were lost, at the time at. It
// leaves the writer below open.
func (x *Writer) Close(at int64, picked, lost uint64) error {
	x.begin(blockStatistic)
	x.u32(0)
	x.u32(uint32(uint64(at) >> 32))
	x.u32(uint32(at))
	x.options(optReceived, binary.LittleEndian.AppendUint64(nil, picked))
	x.options(optLost, binary.LittleEndian.AppendUint64(nil, lost))
	x.end()
	return x.flush()
}

// Size is how many octets were written.
func (x *Writer) Size() int64 { return x.n }

func (x *Writer) u16(v uint16) { x.buf = binary.LittleEndian.AppendUint16(x.buf, v) }
func (x *Writer) u32(v uint32) { x.buf = binary.LittleEndian.AppendUint32(x.buf, v) }
func (x *Writer) u64(v uint64) { x.buf = binary.LittleEndian.AppendUint64(x.buf, v) }

func (x *Writer) padded(b []byte) {
	x.buf = append(x.buf, b...)
	for len(x.buf)%4 != 0 {
		x.buf = append(x.buf, 0)
	}
}

func (x *Writer) begin(kind uint32) {
	x.buf = x.buf[:0]
	x.u32(kind)
	x.u32(0)
}

func (x *Writer) option(code uint16, text string) { x.options(code, []byte(text)) }

func (x *Writer) options(code uint16, value []byte) {
	value = value[:min(len(value), 1<<16-1)]
	x.u16(code)
	x.u16(uint16(len(value)))
	x.padded(value)
}

// end writes the end of the options, and the block's length at both its ends.
func (x *Writer) end() {
	x.u32(optEnd)
	n := uint32(len(x.buf) + 4)
	x.u32(n)
	binary.LittleEndian.PutUint32(x.buf[4:], n)
}

func (x *Writer) flush() error {
	n, err := x.w.Write(x.buf)
	x.n += int64(n)
	return err
}
