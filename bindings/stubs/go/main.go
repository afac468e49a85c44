// Sends batches to Footpath with stubs generated from proto/, and watches the events arrive. docs/backends-from-stubs.md explains it.
//
//	FOOTPATH_URL=http://127.0.0.1:7400 FOOTPATH_KEY=fp_... FOOTPATH_TOKEN=... go run . [once | restart]
//
// "once" sends three events only; "restart" goes on until the server was away once and came back.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/url"
	"os"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "example.com/shop/gen/footpath/v1"
)

// connect makes the one connection of the process. It connects when it is first used, and again by itself.
func connect(address, caFile string) (*grpc.ClientConn, error) {
	server, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	transport := insecure.NewCredentials()
	if server.Scheme == "https" {
		config := &tls.Config{} // The system's authorities, unless a file names one.
		if caFile != "" {
			pem, err := os.ReadFile(caFile)
			if err != nil {
				return nil, err
			}
			config.RootCAs = x509.NewCertPool()
			config.RootCAs.AppendCertsFromPEM(pem)
		}
		transport = credentials.NewTLS(config)
	}
	return grpc.NewClient("dns:///"+server.Host,
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(grpc.UseCompressor(gzip.Name)),
		// Finds a dead connection within 50 s, where TCP takes a quarter of an hour.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 20 * time.Second}),
		// After a restart the next attempt is at most 5 s away; the library's own limit is 120 s.
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: 5 * time.Second, Backoff: backoff.Config{BaseDelay: time.Second, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second}}))
}

// bearer sends the project key with Ingest, and a token with Watch.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity is false for tests on loopback. Say true where the network is not yours.
func (bearer) RequireTransportSecurity() bool { return false }

// newEvent gives an event its id and its time when it happens, not when it is sent: that makes retries safe.
func newEvent(name, user string, properties map[string]*pb.Value) *pb.Event {
	id := uuid.Must(uuid.NewV7())
	return &pb.Event{RawId: id[:], Name: name, UserId: user, Time: timestamppb.Now(), Properties: properties}
}

// Result says what became of events.
type Result struct {
	Stored, Duplicates, Retries int
	// Refused for good. Log them; do not send them again.
	Refused []Refused
}

// Refused is an event that will never be stored as it is.
type Refused struct {
	Event           *pb.Event
	Reason, Message string
}

// deliver sends events until each of them is stored or refused for good. After an error keep all of them and call it again
// later: what is stored already comes back as a duplicate.
func deliver(ctx context.Context, client pb.IngestServiceClient, key string, events []*pb.Event) (Result, error) {
	var result Result
	parts := [][]*pb.Event{events}
	for tries := 0; len(parts) > 0; {
		part := parts[0]
		parts = parts[1:]
		answer, err := ingest(ctx, client, key, part)
		wait, again := time.Duration(0), []*pb.Event(nil)
		if err != nil {
			reason, hint := details(err)
			tooLarge := reason == "batch_too_large" || reason == "too_many_events"
			switch {
			case tooLarge && len(part) > 1:
				half := len(part) / 2
				parts = append([][]*pb.Event{part[:half], part[half:]}, parts...)
				continue
			case tooLarge:
				result.Refused = append(result.Refused, Refused{part[0], reason, err.Error()})
				continue
			case ctx.Err() != nil || !retryable(err):
				return result, err
			}
			log.Printf("try again: %s %s", status.Code(err), reason)
			wait, again = hint, part
		} else {
			result.Stored += int(answer.Stored)
			result.Duplicates += int(answer.Duplicates)
			for _, refusal := range answer.Refused {
				event := part[refusal.Index]
				if refusal.Retryable {
					again = append(again, event)
					wait = max(wait, refusal.RetryAfter.AsDuration())
				} else {
					result.Refused = append(result.Refused, Refused{event, refusal.Reason, refusal.Message})
				}
			}
		}
		if len(again) == 0 {
			tries = 0
			continue
		}
		parts = append([][]*pb.Event{again}, parts...)
		result.Retries++
		if err := pause(ctx, tries, wait); err != nil {
			return result, err
		}
		tries++
	}
	return result, nil
}

// ingest sends one batch. Without a deadline a call to a server that hangs would never end.
func ingest(ctx context.Context, client pb.IngestServiceClient, key string, events []*pb.Event) (*pb.IngestResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	request := &pb.IngestRequest{Context: &pb.Context{App: "shop", Library: "stubs-go"}, Events: events}
	return client.Ingest(ctx, request, grpc.PerRPCCredentials(bearer(key)))
}

// retryable tells whether the same batch can succeed later. It may be stored already; then it comes back as duplicates.
func retryable(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded:
		return true
	}
	return false
}

// details reads the stable reason, and how long the server asks to wait.
func details(err error) (reason string, wait time.Duration) {
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			reason = detail.Reason
		case *errdetails.RetryInfo:
			wait = detail.RetryDelay.AsDuration()
		}
	}
	return reason, wait
}

// pause waits up to 0.2 s, 0.4 s, ... 10 s, by chance, so that not all senders come back at once; never less than the server asks for.
func pause(ctx context.Context, tries int, atLeast time.Duration) error {
	limit := min(200*time.Millisecond<<min(tries, 10), 10*time.Second)
	select {
	case <-time.After(atLeast + rand.N(limit)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watch shows events of a name as they are stored, until seen says that it is enough. It goes on by cursor after a restart.
func watch(ctx context.Context, client pb.LiveServiceClient, token, name string, started func(), seen func(*pb.StoredEvent) bool) error {
	subscription := &pb.Subscription{Id: "orders", Target: &pb.Subscription_Events{Events: &pb.EventSubscription{Names: []string{name}}}}
	request := &pb.WatchRequest{Project: "default", Subscriptions: []*pb.Subscription{subscription}}
	for tries := 0; ; tries++ {
		stream, err := client.Watch(ctx, request, grpc.PerRPCCredentials(bearer(token)))
		for err == nil {
			var message *pb.WatchResponse
			if message, err = stream.Recv(); err != nil {
				break
			}
			tries = 0
			switch message := message.Message.(type) {
			case *pb.WatchResponse_Started:
				started()
			case *pb.WatchResponse_Events:
				for _, event := range message.Events.Events {
					if seen(event) {
						return nil
					}
				}
				subscription.Cursor = message.Events.Cursor
			case *pb.WatchResponse_Ended:
				return errors.New(message.Ended.Reason)
			}
		}
		_, wait := details(err)
		if ctx.Err() != nil || !retryable(err) && err != io.EOF {
			return err
		}
		if err := pause(ctx, tries, wait); err != nil {
			return err
		}
	}
}

func main() {
	log.SetFlags(0)
	if err := run(append(os.Args, "")[1]); err != nil {
		fmt.Println("FAILED:", err)
		os.Exit(1)
	}
	fmt.Println("all as it should be")
}

func run(mode string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	connection, err := connect(os.Getenv("FOOTPATH_URL"), os.Getenv("FOOTPATH_CA"))
	if err != nil {
		return err
	}
	defer connection.Close()
	client, live := pb.NewIngestServiceClient(connection), pb.NewLiveServiceClient(connection)
	key := os.Getenv("FOOTPATH_KEY")

	// Sends events, shows what became of them, and compares that with what should have.
	send := func(what string, events []*pb.Event, wanted string) error {
		result, err := deliver(ctx, client, key, events)
		if err != nil {
			return err
		}
		got := fmt.Sprintf("stored %d, duplicates %d, refused %d", result.Stored, result.Duplicates, len(result.Refused))
		for _, refused := range result.Refused {
			got += " " + refused.Reason
		}
		fmt.Printf("%s: %s\n", what, got)
		if got != wanted {
			return fmt.Errorf("%s should be: %s", what, wanted)
		}
		return nil
	}
	view := func() *pb.Event { return newEvent("view", "u-17", nil) }

	if mode == "once" {
		return send("three events", []*pb.Event{view(), view(), view()}, "stored 3, duplicates 0, refused 0")
	}
	batch := []*pb.Event{view(), newEvent("", "u-17", nil), view()} // The one in the middle has no name.
	if err := send("a bad event among good ones", batch, "stored 2, duplicates 0, refused 1 name_missing"); err != nil {
		return err
	}
	if err := send("the same again", batch, "stored 0, duplicates 2, refused 1 name_missing"); err != nil {
		return err
	}
	many := make([]*pb.Event, 10_001)
	for i := range many {
		many[i] = view()
	}
	if err := send("too many for one batch", many, "stored 10001, duplicates 0, refused 0"); err != nil {
		return err
	}

	orderPaid := func() *pb.Event {
		return newEvent("order_paid", "u-17", map[string]*pb.Value{
			"total": {Kind: &pb.Value_MoneyValue{MoneyValue: &pb.Money{Currency: "EUR", Units: 12, Nanos: 500_000_000}}},
			"items": {Kind: &pb.Value_IntValue{IntValue: 3}},
		})
	}
	started, seen, failed := make(chan struct{}, 100), make(chan string, 100), make(chan error, 1)
	go func() {
		failed <- watch(ctx, live, os.Getenv("FOOTPATH_TOKEN"), "order_paid", func() { started <- struct{}{} },
			func(event *pb.StoredEvent) bool { seen <- event.Id; return false })
	}()
	select {
	case <-started:
	case err := <-failed:
		return fmt.Errorf("watch: %w", err)
	}
	// Sends an order and waits until the watch shows it.
	order := func(what string) error {
		event := orderPaid()
		if err := send(what, []*pb.Event{event}, "stored 1, duplicates 0, refused 0"); err != nil {
			return err
		}
		select {
		case id := <-seen:
			if id != uuid.UUID(event.RawId).String() {
				return fmt.Errorf("watched another order than the one that was sent: %s", id)
			}
			fmt.Println("watched: order_paid")
			return nil
		case err := <-failed:
			return fmt.Errorf("watch: %w", err)
		}
	}
	if err := order("an order"); err != nil {
		return err
	}

	if mode != "restart" {
		return nil
	}
	fmt.Println("restart the server now")
	for sent, retries, after := 0, 0, 0; after < 5; {
		result, err := deliver(ctx, client, key, []*pb.Event{view(), view()})
		if err != nil {
			return err
		}
		if result.Stored+result.Duplicates != 2 {
			return fmt.Errorf("of 2 events %d are there", result.Stored+result.Duplicates)
		}
		sent, retries = sent+2, retries+result.Retries
		if retries > 0 {
			after++
		}
		if after == 5 {
			fmt.Printf("after a restart: all of %d events are there\n", sent)
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return order("another order")
}
