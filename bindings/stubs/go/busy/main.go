// A stand-in for a server that has too much to do: test.sh uses it to see that a sender waits as long as it is asked to, and sends
// only what is missing. It takes one batch of three events in three calls.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "example.com/shop/gen/footpath/v1"
)

const (
	busyFor  = 1500 * time.Millisecond
	indexFor = 1000 * time.Millisecond
)

type server struct {
	pb.UnimplementedIngestServiceServer
	lock  sync.Mutex
	calls int
	last  time.Time
	ids   []string
}

func (s *server) Ingest(_ context.Context, request *pb.IngestRequest) (*pb.IngestResponse, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	now := time.Now()
	waited := now.Sub(s.last)
	s.last = now
	s.calls++
	var ids []string
	for _, event := range request.Events {
		ids = append(ids, string(event.RawId))
	}
	switch {
	case s.calls == 1 && len(ids) == 3:
		s.ids = ids
		busy, err := status.New(codes.ResourceExhausted, "the server has as much as it can take").WithDetails(
			&errdetails.ErrorInfo{Reason: "busy", Domain: "footpath"},
			&errdetails.RetryInfo{RetryDelay: durationpb.New(busyFor)})
		if err != nil {
			return nil, err
		}
		return nil, busy.Err()
	case s.calls == 2 && waited >= busyFor && fmt.Sprint(ids) == fmt.Sprint(s.ids):
		return &pb.IngestResponse{Stored: 2, Refused: []*pb.Refusal{{
			Index: 1, Reason: "id_index_full", Retryable: true, RetryAfter: durationpb.New(indexFor),
		}}}, nil
	case s.calls == 3 && waited >= indexFor && len(ids) == 1 && ids[0] == s.ids[1]:
		return &pb.IngestResponse{Stored: 1}, nil
	}
	return nil, status.Errorf(codes.FailedPrecondition, "call %d with %d events after %s is not as it should be", s.calls, len(ids), waited)
}

func main() {
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	grpcServer := grpc.NewServer()
	pb.RegisterIngestServiceServer(grpcServer, &server{})
	fmt.Println("listening")
	log.Fatal(grpcServer.Serve(listener))
}
