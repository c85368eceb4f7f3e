package standin

import (
	"net/http"
	"strings"
)

// isGRPC tells whether a request is a gRPC call.
func isGRPC(r *http.Request) bool {
	return r.ProtoMajor == 2 && r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

// Messages with their prefix: not compressed, four bytes of length. SERVING is 1, in field 1.
var (
	serving = []byte{0, 0, 0, 0, 2, 0x08, 0x01}
	empty   = []byte{0, 0, 0, 0, 0}
)

// answerGRPC answers a health check as a healthy server does, and any other call with a message that has no field
// set. Streams get one message. Content-Length is left out: a proxy must not take the trailers for none.
func answerGRPC(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "application/grpc")
	header.Set("Trailer", "Grpc-Status")
	message := empty
	if r.URL.Path == "/grpc.health.v1.Health/Check" || r.URL.Path == "/grpc.health.v1.Health/Watch" {
		message = serving
	}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(message) // fails only if the client has gone
	header.Set("Grpc-Status", "0")
}
