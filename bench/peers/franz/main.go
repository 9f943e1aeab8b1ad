// The driver over franz-go: the same command line and the same line of output as driver/driver.c.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, "franz-go:", err)
		os.Exit(2)
	}
	return value
}

// ---- latencies: counts by size, exact to 1/128 ----

const steps = 128

type histogram struct {
	counts [steps * 58]uint64
	total  uint64
	max    uint64
}

func place(value uint64) int {
	if value < steps {
		return int(value)
	}
	power := bits.Len64(value) - 8
	return steps*(power+1) + int(value>>power) - steps
}

func bound(place int) uint64 {
	if place < steps {
		return uint64(place)
	}
	power := place/steps - 1
	return uint64(place%steps+steps+1)<<power - 1
}

func (h *histogram) add(value uint64) {
	h.counts[place(value)]++
	h.total++
	h.max = max(h.max, value)
}

func (h *histogram) us(part float64) float64 {
	rank, seen := uint64(float64(h.total)*part+0.999999), uint64(0)
	for i, count := range h.counts {
		seen += count
		if seen >= rank && seen > 0 {
			return float64(min(bound(i), h.max)) / 1e3
		}
	}
	return 0
}

// ---- what it is told ----

type driver struct {
	words      map[string]string
	records    int64
	size       int
	keys       uint64
	headers    []kgo.RecordHeader
	partitions int64
	spread     string
	rate       float64
	burst      int64
	threads    int64
	pool       []byte
	client     *kgo.Client
	start      time.Time

	// Callbacks of different brokers come at the same time.
	lock    sync.Mutex
	good    int64
	failed  int64
	last    time.Time
	latency histogram
	done    chan struct{}
}

func (d *driver) number(name string) int64 {
	return must(strconv.ParseInt(d.words[name], 10, 64))
}

func (d *driver) is(name string) bool {
	return d.words[name] == "1"
}

func options(d *driver) []kgo.Opt {
	buffer := d.number("buffer_mb") << 20
	all := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(d.words["bootstrap"], ",")...),
		kgo.DefaultProduceTopic(d.words["topic"]),
		kgo.ProducerLinger(time.Duration(d.number("linger_us")) * time.Microsecond),
		kgo.ProducerBatchMaxBytes(1_000_000),
		// Bytes bound it, as they do the others.
		kgo.MaxBufferedBytes(int(buffer)),
		kgo.MaxBufferedRecords(1 << 30),
	}
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	all = append(all, kgo.ProducerBatchCompression(codecs[d.words["codec"]]))
	acks := map[string]kgo.Acks{"all": kgo.AllISRAcks(), "1": kgo.LeaderAck(), "0": kgo.NoAck()}
	all = append(all, kgo.RequiredAcks(acks[d.words["acks"]]))
	if !d.is("idempotent") {
		// As many requests under way as the others have.
		all = append(all, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(5))
	}
	if d.spread != "auto" {
		all = append(all, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	return all
}

func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (d *driver) make(thread, number int64) *kgo.Record {
	at := int(number) % (len(d.pool) / d.size) * d.size
	record := &kgo.Record{Value: d.pool[at : at+d.size], Headers: d.headers}
	if d.keys > 0 {
		record.Key = binary.LittleEndian.AppendUint64(nil, mix(uint64(number)%d.keys))
	}
	switch d.spread {
	case "round":
		record.Partition = int32(number % d.partitions)
	case "own":
		record.Partition = int32(thread % d.partitions)
	}
	return record
}

func (d *driver) due(number int64) time.Time {
	return d.start.Add(time.Duration(float64(number-number%d.burst) * 1e9 / d.rate))
}

// ---- sending ----

func (d *driver) delivered(sent time.Time, err error) {
	now := time.Now()
	d.lock.Lock()
	if err == nil {
		d.good++
	} else {
		d.failed++
	}
	if !sent.IsZero() {
		d.latency.add(uint64(now.Sub(sent)))
	}
	if d.good+d.failed == d.records {
		d.last = now
		close(d.done)
	}
	d.lock.Unlock()
}

func (d *driver) send(thread int64) {
	ctx := context.Background()
	counted := func(_ *kgo.Record, err error) { d.delivered(time.Time{}, err) }
	for number := thread; number < d.records; number += d.threads {
		record := d.make(thread, number)
		if d.rate == 0 {
			d.client.Produce(ctx, record, counted)
			continue
		}
		due := d.due(number)
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		}
		d.client.Produce(ctx, record, func(_ *kgo.Record, err error) { d.delivered(due, err) })
	}
}

// One record after the other; the answer is when the first one was back.
func (d *driver) sendOneByOne() time.Time {
	var first time.Time
	back := make(chan struct{}, 1)
	for number := range d.records {
		sent := time.Now()
		d.client.Produce(context.Background(), d.make(0, number), func(_ *kgo.Record, err error) {
			d.delivered(sent, err)
			back <- struct{}{}
		})
		<-back
		if number == 0 {
			first = time.Now()
		}
	}
	return first
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/twmb/franz-go" {
			return strings.TrimPrefix(module.Version, "v")
		}
	}
	return "unknown"
}

func main() {
	d := &driver{words: map[string]string{}, done: make(chan struct{})}
	for _, word := range os.Args[1:] {
		name, value, _ := strings.Cut(word, "=")
		d.words[name] = value
	}
	d.records, d.size, d.keys = d.number("records"), int(d.number("bytes")), uint64(d.number("keys"))
	d.partitions, d.spread, d.threads = d.number("partitions"), d.words["spread"], d.number("threads")
	d.rate, d.burst = float64(d.number("rate")), d.number("burst")
	d.pool = must(os.ReadFile(d.words["payload"]))
	if d.number("headers") > 0 {
		d.headers = []kgo.RecordHeader{
			{Key: "trace-id", Value: []byte("0af7651916cd43dd")}, {Key: "source", Value: []byte("checkout")},
		}
	}
	made := time.Now()
	d.client = must(kgo.NewClient(options(d)...))
	if !d.is("cold") {
		must(struct{}{}, d.client.Ping(context.Background()))
		d.client.ForceMetadataRefresh()
	}
	if !d.is("cold") && !d.is("hold") {
		// One record goes ahead, as in driver/driver.c.
		must(d.client.ProduceSync(context.Background(), d.make(0, 0)).First())
	}
	if d.is("hold") {
		fmt.Println("started")
	}
	if quiet := d.number("quiet_s"); quiet > 0 {
		fmt.Println("quiet")
		time.Sleep(time.Duration(quiet) * time.Second)
	}
	d.start = time.Now()
	var first time.Duration
	if d.is("outstanding") {
		first = d.sendOneByOne().Sub(made)
	} else {
		var senders sync.WaitGroup
		for thread := range d.threads {
			senders.Go(func() { d.send(thread) })
		}
		senders.Wait()
	}
	if d.is("hold") {
		fmt.Println("held")
		_, _ = bufio.NewReader(os.Stdin).ReadString(0)
		return
	}
	<-d.done
	if idle := d.number("idle_s"); idle > 0 {
		fmt.Println("idle")
		time.Sleep(time.Duration(idle) * time.Second)
	}
	fmt.Printf("records=%d failed=%d seconds=%.6f p50_us=%.1f p99_us=%.1f p999_us=%.1f max_us=%.1f first_us=%.1f "+
		"version=%s\n", d.good, d.failed, d.last.Sub(d.start).Seconds(), d.latency.us(0.5), d.latency.us(0.99),
		d.latency.us(0.999), float64(d.latency.max)/1e3, float64(first.Nanoseconds())/1e3, version())
	if d.failed > 0 {
		os.Exit(1)
	}
}
