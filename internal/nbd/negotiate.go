package nbd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Numbers of the protocol: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
const (
	magicServer = 0x4e42444d41474943 // NBDMAGIC
	magicOption = 0x49484156454f5054 // IHAVEOPT
	magicReply  = 0x3e889045565a9

	handshakeFixed    = 1 << 0
	handshakeNoZeroes = 1 << 1

	optExportName      = 1
	optAbort           = 2
	optList            = 3
	optInfo            = 6
	optGo              = 7
	optStructuredReply = 8
	optListMeta        = 9
	optSetMeta         = 10

	replyAck     = 1
	replyServer  = 2
	replyInfo    = 3
	replyMeta    = 4
	replyUnsup   = 1<<31 | 1
	replyInvalid = 1<<31 | 3
	replyUnknown = 1<<31 | 6
	replyTooBig  = 1<<31 | 9

	infoExport    = 0
	infoBlockSize = 3

	flagHasFlags  = 1 << 0
	flagReadOnly  = 1 << 1
	flagSendFlush = 1 << 2
	flagSendDF    = 1 << 7
	flagMultiConn = 1 << 8
	flagSendCache = 1 << 10

	// metaAllocation is the one context, and the number given to it.
	metaAllocation   = "base:allocation"
	metaAllocationID = 1

	// preferredBlock is told to clients, in bytes: the block size of images.
	preferredBlock = 4096
)

var errProtocol = errors.New("client does not keep the protocol")

func (c *client) exportFlags() uint16 {
	f := uint16(flagHasFlags | flagReadOnly | flagSendFlush | flagMultiConn | flagSendCache)
	if c.structured {
		f |= flagSendDF
	}
	return f
}

// negotiate shakes hands. It returns true when the transmission follows, false
// when the client has ended the conversation.
func (c *client) negotiate() (bool, error) {
	hello := binary.BigEndian.AppendUint64(nil, magicServer)
	hello = binary.BigEndian.AppendUint64(hello, magicOption)
	hello = binary.BigEndian.AppendUint16(hello, handshakeFixed|handshakeNoZeroes)
	if _, err := c.rw.Write(hello); err != nil {
		return false, fmt.Errorf("greet: %w", err)
	}
	var flags [4]byte
	if _, err := io.ReadFull(c.rw, flags[:]); err != nil {
		return false, fmt.Errorf("read client flags: %w", err)
	}
	noZeroes := binary.BigEndian.Uint32(flags[:])&handshakeNoZeroes != 0
	for {
		option, data, err := c.readOption()
		if err != nil {
			return false, err
		}
		var done bool
		switch option {
		case optExportName:
			return len(data) == 0, c.exportName(data, noZeroes)
		case optAbort:
			return false, c.reply(option, replyAck, nil)
		case optList:
			err = c.list(data)
		case optInfo, optGo:
			done, err = c.info(option, data)
		case optStructuredReply:
			if len(data) != 0 {
				err = c.reply(option, replyInvalid, nil)
				break
			}
			c.structured = true
			err = c.reply(option, replyAck, nil)
		case optListMeta, optSetMeta:
			err = c.meta(option, data)
		default:
			err = c.reply(option, replyUnsup, nil)
		}
		if done || err != nil {
			return done, err
		}
	}
}

func (c *client) readOption() (uint32, []byte, error) {
	var head [16]byte
	if _, err := io.ReadFull(c.rw, head[:]); err != nil {
		return 0, nil, fmt.Errorf("read option: %w", err)
	}
	if binary.BigEndian.Uint64(head[:]) != magicOption {
		return 0, nil, fmt.Errorf("read option: %w", errProtocol)
	}
	option, length := binary.BigEndian.Uint32(head[8:]), binary.BigEndian.Uint32(head[12:])
	if length > maxOption {
		// It is not worth reading so much to be polite.
		return 0, nil, errors.Join(fmt.Errorf("option of %d bytes: %w", length, errProtocol), c.reply(option, replyTooBig, nil))
	}
	data := make([]byte, length)
	if _, err := io.ReadFull(c.rw, data); err != nil {
		return 0, nil, fmt.Errorf("read option: %w", err)
	}
	return option, data, nil
}

func (c *client) reply(option, kind uint32, data []byte) error {
	b := binary.BigEndian.AppendUint64(nil, magicReply)
	b = binary.BigEndian.AppendUint32(b, option)
	b = binary.BigEndian.AppendUint32(b, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	if _, err := c.rw.Write(append(b, data...)); err != nil {
		return fmt.Errorf("answer option: %w", err)
	}
	return nil
}

// exportName is the old way to begin: there is no answer but the export or the end.
func (c *client) exportName(name []byte, noZeroes bool) error {
	if len(name) != 0 {
		return fmt.Errorf("unknown export: %w", errProtocol)
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(c.source.Size()))
	b = binary.BigEndian.AppendUint16(b, c.exportFlags())
	if !noZeroes {
		b = append(b, make([]byte, 124)...)
	}
	if _, err := c.rw.Write(b); err != nil {
		return fmt.Errorf("describe export: %w", err)
	}
	return nil
}

func (c *client) list(data []byte) error {
	if len(data) != 0 {
		return c.reply(optList, replyInvalid, nil)
	}
	// One export, with a name of no bytes.
	if err := c.reply(optList, replyServer, make([]byte, 4)); err != nil {
		return err
	}
	return c.reply(optList, replyAck, nil)
}

func (c *client) info(option uint32, data []byte) (bool, error) {
	if len(data) < 6 {
		return false, c.reply(option, replyInvalid, nil)
	}
	nameLength := binary.BigEndian.Uint32(data)
	if uint64(nameLength)+6 > uint64(len(data)) {
		return false, c.reply(option, replyInvalid, nil)
	}
	rest := data[4+nameLength:]
	requests := int(binary.BigEndian.Uint16(rest))
	if len(rest) != 2+2*requests {
		return false, c.reply(option, replyInvalid, nil)
	}
	if nameLength != 0 {
		return false, c.reply(option, replyUnknown, nil)
	}
	b := binary.BigEndian.AppendUint16(nil, infoExport)
	b = binary.BigEndian.AppendUint64(b, uint64(c.source.Size()))
	b = binary.BigEndian.AppendUint16(b, c.exportFlags())
	if err := c.reply(option, replyInfo, b); err != nil {
		return false, err
	}
	for i := range requests {
		if binary.BigEndian.Uint16(rest[2+2*i:]) != infoBlockSize {
			continue
		}
		b := binary.BigEndian.AppendUint16(nil, infoBlockSize)
		b = binary.BigEndian.AppendUint32(b, 1)
		b = binary.BigEndian.AppendUint32(b, preferredBlock)
		b = binary.BigEndian.AppendUint32(b, maxRequest)
		if err := c.reply(option, replyInfo, b); err != nil {
			return false, err
		}
	}
	return option == optGo, c.reply(option, replyAck, nil)
}

func (c *client) meta(option uint32, data []byte) error {
	if option == optSetMeta {
		c.allocation = false
	}
	name, rest, ok := cut(data)
	if !ok || len(rest) < 4 {
		return c.reply(option, replyInvalid, nil)
	}
	if !c.structured {
		return c.reply(option, replyInvalid, nil)
	}
	if len(name) != 0 {
		return c.reply(option, replyUnknown, nil)
	}
	queries := binary.BigEndian.Uint32(rest)
	rest = rest[4:]
	wanted := queries == 0 && option == optListMeta
	for range queries {
		var query []byte
		if query, rest, ok = cut(rest); !ok {
			return c.reply(option, replyInvalid, nil)
		}
		wanted = wanted || string(query) == metaAllocation || string(query) == "base:" && option == optListMeta
	}
	if len(rest) != 0 {
		return c.reply(option, replyInvalid, nil)
	}
	if wanted {
		if option == optSetMeta {
			c.allocation = true
		}
		b := binary.BigEndian.AppendUint32(nil, metaAllocationID)
		if err := c.reply(option, replyMeta, append(b, metaAllocation...)); err != nil {
			return err
		}
	}
	return c.reply(option, replyAck, nil)
}

// cut splits a string that begins with its length.
func cut(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return nil, nil, false
	}
	return b[4 : 4+n], b[4+n:], true
}
