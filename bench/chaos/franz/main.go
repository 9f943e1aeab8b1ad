// The driver over franz-go: the same command line, records and journal as driver/driver.c.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	accepted = 1
	delivery = 2
	end      = 6

	// franz-go does not say whether a record that failed is in the log.
	unknown = 0
	written = 1
)

type driver struct {
	journal   *os.File
	lock      sync.Mutex
	waiting   []byte
	run       uint32
	threads   int
	records   uint64
	rate      float64
	valueSize int
	epochMs   int64
	topics    []string
	counts    []int
	client    *kgo.Client
	stopping  atomic.Bool
}

func must[T any](value T, err error) T {
	if err != nil {
		println(err.Error())
		os.Exit(2)
	}
	return value
}

func number(text string) uint64 {
	return must(strconv.ParseUint(text, 10, 64))
}

func (d *driver) append(kind byte, thread int, outcome byte, code int16, partition uint16, number, amount uint32,
	offset, timestampMs int64) {
	d.lock.Lock()
	defer d.lock.Unlock()
	little := binary.LittleEndian
	d.waiting = append(d.waiting, kind, byte(thread), outcome, 0)
	d.waiting = little.AppendUint16(d.waiting, uint16(code))
	d.waiting = little.AppendUint16(d.waiting, partition)
	d.waiting = little.AppendUint32(d.waiting, number)
	d.waiting = little.AppendUint32(d.waiting, amount)
	d.waiting = little.AppendUint64(d.waiting, uint64(offset))
	d.waiting = little.AppendUint64(d.waiting, uint64(timestampMs))
}

func (d *driver) flush() {
	d.lock.Lock()
	defer d.lock.Unlock()
	must(d.journal.Write(d.waiting))
	d.waiting = d.waiting[:0]
}

func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func hash(state uint64, bytes []byte) uint64 {
	for _, b := range bytes {
		state = (state ^ uint64(b)) * 0x100000001b3
	}
	return state
}

func (d *driver) make(thread int, number uint32) *kgo.Record {
	little := binary.LittleEndian
	h := mix(uint64(d.run)<<40 | uint64(thread)<<32 | uint64(number))
	record := &kgo.Record{Topic: d.topics[thread], Partition: -1}
	switch h & 3 {
	case 0:
		record.Partition = int32((h >> 8 & 0xffff) % uint64(d.counts[thread]))
	case 1, 2:
		key := uint32((h >> 24) % 1000)
		record.Key = []byte{}
		if key != 0 {
			record.Key = little.AppendUint32(nil, key)
		}
	}
	if h>>2&7 == 0 {
		record.Headers = []kgo.RecordHeader{
			{Key: "a", Value: little.AppendUint32(nil, number)}, {Key: "a"}, {Key: "\u00fc", Value: []byte{}},
		}
	}
	if d.epochMs > 0 && h>>5&7 == 1 {
		record.Timestamp = time.UnixMilli(d.epochMs + int64(number%60000))
	}
	size := d.valueSize + int(h>>40&15)
	if h>>44&0x3fff == 0 {
		size += 20000
	}
	value := make([]byte, size)
	little.PutUint32(value[8:], d.run)
	little.PutUint32(value[12:], uint32(record.Partition))
	little.PutUint32(value[16:], uint32(thread))
	little.PutUint32(value[20:], number)
	for i := 24; i < size; i++ {
		value[i] = byte(h>>(8*(i&7))) ^ byte(i)
	}
	sum := hash(hash(0x6b75726965726b65, value[8:]), record.Key)
	for _, header := range record.Headers {
		sum = hash(hash(sum, []byte(header.Key)), header.Value)
	}
	little.PutUint64(value, mix(sum))
	record.Value = value
	return record
}

func (d *driver) deliver(thread int, number uint32, sent time.Time, record *kgo.Record, err error) {
	latency := uint32(min(time.Since(sent).Microseconds(), 1<<32-1))
	if err == nil {
		d.append(delivery, thread, written, 0, uint16(record.Partition), number, latency, record.Offset,
			record.Timestamp.UnixMilli())
		return
	}
	code := int16(-1)
	var broker *kerr.Error
	if errors.As(err, &broker) {
		code = broker.Code
	}
	d.append(delivery, thread, unknown, code, uint16(max(record.Partition, 0)), number, latency, -1, -1)
}

func (d *driver) send(thread int) {
	interval := time.Duration(0)
	if d.rate > 0 {
		interval = time.Duration(1e9 * float64(d.threads) / d.rate)
	}
	began := time.Now()
	told := began
	reported, number := uint32(0), uint32(0)
	tell := func() {
		if reported < number {
			d.append(accepted, thread, unknown, 0, 0, reported, number-reported, 0, 0)
			reported = number
		}
	}
	for !d.stopping.Load() && (d.records == 0 || uint64(number) < d.records) {
		now := time.Now()
		if now.Sub(told) > 10*time.Millisecond || number-reported >= 1024 {
			tell()
			told = now
		}
		if now.Sub(began) < time.Duration(number)*interval {
			time.Sleep(time.Millisecond)
			continue
		}
		this := number
		// Blocks while its buffer is full.
		d.client.Produce(context.Background(), d.make(thread, this), func(record *kgo.Record, err error) {
			d.deliver(thread, this, now, record, err)
		})
		number++
	}
	tell()
}

// What a record asks for, else its key, else in turn.
func partition(string) func(*kgo.Record, int) int {
	var turn int
	return func(record *kgo.Record, count int) int {
		if record.Partition >= 0 {
			return int(record.Partition)
		}
		if record.Key != nil {
			return int(hash(0xcbf29ce484222325, record.Key) % uint64(count))
		}
		turn++
		return turn / 100 % count
	}
}

func milliseconds(text string) time.Duration {
	return time.Duration(number(text)) * time.Millisecond
}

func options(settings []string) []kgo.Opt {
	var all []kgo.Opt
	for _, setting := range settings {
		name, value, _ := strings.Cut(setting, "=")
		switch name {
		case "client.id":
			all = append(all, kgo.ClientID(value))
		case "delivery.timeout.ms":
			all = append(all, kgo.RecordDeliveryTimeout(milliseconds(value)))
		case "request.timeout.ms":
			all = append(all, kgo.ProduceRequestTimeout(milliseconds(value)))
		case "linger.ms":
			all = append(all, kgo.ProducerLinger(milliseconds(value)))
		default:
			println("unknown setting " + name)
			os.Exit(2)
		}
	}
	return all
}

func main() {
	a := os.Args[1:]
	d := &driver{
		journal:   must(os.OpenFile(a[1], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)),
		run:       uint32(number(a[2])),
		threads:   int(number(a[3])),
		records:   number(a[4]),
		rate:      must(strconv.ParseFloat(a[5], 64)),
		valueSize: int(number(a[6])),
		epochMs:   int64(number(a[7])),
	}
	named := strings.Split(a[8], ",")
	for i := range d.threads {
		topic, count, _ := strings.Cut(named[i%len(named)], ":")
		d.topics = append(d.topics, topic)
		d.counts = append(d.counts, int(number(count)))
	}
	all := append(options(a[9:]), kgo.SeedBrokers(strings.Split(a[0], ",")...),
		kgo.RecordPartitioner(kgo.BasicConsistentPartitioner(partition)))
	d.client = must(kgo.NewClient(all...))

	go func() {
		// Whoever started us closes our standard input when it is enough.
		_, _ = io.Copy(io.Discard, os.Stdin)
		d.stopping.Store(true)
	}()
	go func() {
		for range time.Tick(20 * time.Millisecond) {
			d.flush()
		}
	}()
	var senders sync.WaitGroup
	for i := range d.threads {
		senders.Go(func() { d.send(i) })
	}
	senders.Wait()
	_ = d.client.Flush(context.Background())
	d.client.Close()
	d.append(end, 0, unknown, 0, 0, 0, 0, 0, 0)
	d.flush()
}
