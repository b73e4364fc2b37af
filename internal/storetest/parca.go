package storetest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Parca runs a receiver of WriteRaw, over gRPC and as /profiles/writeraw.
func Parca(t TB) *Store {
	t.Helper()
	s := &Store{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /profiles/writeraw", func(w http.ResponseWriter, r *http.Request) {
		all, err := posted(r)
		w.Header().Set("Content-Type", "application/json")
		if err := s.keep(all, err); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"code":3,"message":%q,"details":[]}`, err.Error())
			return
		}
		fmt.Fprint(w, "{}")
	})
	s.serve(t, mux)

	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	s.GRPC = lis.Addr().String()
	srv := grpc.NewServer()
	srv.RegisterService(&grpc.ServiceDesc{
		ServiceName: "parca.profilestore.v1alpha1.ProfileStoreService",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "WriteRaw", Handler: writeRaw}},
	}, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(lis) // ends with Stop
	}()
	t.Cleanup(func() { srv.Stop(); <-done })
	return s
}

// writeRaw is the method of the gRPC service.
func writeRaw(srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	s := srv.(*Store)
	if a := s.next(); a.Status != 0 {
		return nil, status.Error(map[int]codes.Code{503: codes.Unavailable, 401: codes.Unauthenticated, 400: codes.InvalidArgument}[a.Status], "scripted")
	}
	m, err := message(parcaProto, "WriteRawRequest")
	if err != nil {
		return nil, err
	}
	if err := decode(m); err != nil {
		return nil, err
	}
	md, _ := metadata.FromIncomingContext(ctx)
	header := http.Header{}
	for k, v := range md {
		header[http.CanonicalHeaderKey(k)] = v
	}
	all, err := written(m, header)
	if err := s.keep(all, err); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return message(parcaProto, "WriteRawResponse")
}

// posted reads a request of the gateway.
func posted(r *http.Request) ([]Profile, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	m, err := message(parcaProto, "WriteRawRequest")
	if err != nil {
		return nil, err
	}
	if err := protojson.Unmarshal(body, m); err != nil {
		return nil, err
	}
	return written(m, r.Header)
}

// written reads a WriteRawRequest.
func written(m *dynamicpb.Message, header http.Header) ([]Profile, error) {
	if len(m.GetUnknown()) > 0 {
		return nil, fmt.Errorf("fields that WriteRawRequest does not have")
	}
	var all []Profile
	err := each(m, "series", func(one protoreflect.Message) error {
		labels, _, err := pairs(field(one, "labels").Message(), "labels")
		if err == nil && labels["__name__"] == "" {
			err = fmt.Errorf("missing __name__ label")
		}
		if err != nil {
			return err
		}
		return each(one, "samples", func(sample protoreflect.Message) error {
			p, err := parse(field(sample, "raw_profile").Bytes())
			all = append(all, Profile{Labels: labels, Normalized: field(m, "normalized").Bool(), Header: header, Profile: p})
			return err
		})
	})
	return all, err
}
