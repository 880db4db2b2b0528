// Puts and gets of the same shape as tests/bench/bench_store.c through bbolt, for the comparison.
//
//	bbolt FILE [KEYS [SECONDS]]
package main

import (
	"encoding/binary"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	bolt "github.com/coreos/bbolt"
)

const writers = 64

var bucket = []byte("records")

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func keyOf(number uint64) []byte {
	key := make([]byte, 24)
	binary.BigEndian.PutUint64(key, mix(number+1))
	copy(key[8:], fmt.Sprintf("key:%012d", number))
	return key
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bbolt:", err)
		os.Exit(1)
	}
}

func load(db *bolt.DB, keys uint64) {
	const part = 10000
	value := make([]byte, 128)
	for first := uint64(0); first < keys; first += part {
		check(db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(bucket)
			for i := first; err == nil && i < first+part && i < keys; i++ {
				err = b.Put(keyOf(i), value)
			}
			return err
		}))
	}
}

func put(db *bolt.DB, name string, keys uint64, seconds float64) {
	var done uint64
	var wait sync.WaitGroup
	start := time.Now()
	end := start.Add(time.Duration(seconds * float64(time.Second)))
	for w := 0; w < writers; w++ {
		wait.Add(1)
		go func(seed int64) {
			defer wait.Done()
			random := rand.New(rand.NewSource(seed))
			value := make([]byte, 128)
			for time.Now().Before(end) {
				key := keyOf(random.Uint64() % keys)
				check(db.Batch(func(tx *bolt.Tx) error { return tx.Bucket(bucket).Put(key, value) }))
				atomic.AddUint64(&done, 1)
			}
		}(int64(w))
	}
	wait.Wait()
	fmt.Printf("%s_per_s %.0f\n", name, float64(done)/time.Since(start).Seconds())
}

func get(db *bolt.DB, keys uint64) {
	const count = 500000
	random := rand.New(rand.NewSource(1))
	wanted := make([][]byte, count)
	for i := range wanted {
		wanted[i] = keyOf(random.Uint64() % keys)
	}
	start := time.Now()
	check(db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucket)
		for _, key := range wanted {
			if len(b.Get(key)) != 128 {
				return fmt.Errorf("a key is missing")
			}
		}
		return nil
	}))
	fmt.Printf("bbolt_get_ns %.0f\n", float64(time.Since(start).Nanoseconds())/count)
}

func main() {
	keys, seconds := uint64(1000000), 10.0
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: bbolt FILE [KEYS [SECONDS]]")
		os.Exit(2)
	}
	if len(os.Args) > 2 {
		n, err := strconv.ParseUint(os.Args[2], 10, 64)
		check(err)
		keys = n
	}
	if len(os.Args) > 3 {
		s, err := strconv.ParseFloat(os.Args[3], 64)
		check(err)
		seconds = s
	}
	db, err := bolt.Open(os.Args[1], 0600, nil)
	check(err)
	load(db, keys)
	get(db, keys)
	put(db, "bbolt_put", keys, seconds)
	// By default Batch gathers for 10 ms. It need not wait when as many have come as there are writers.
	db.MaxBatchSize = writers
	put(db, "bbolt_put_tuned", keys, seconds)
	check(db.Close())
}
