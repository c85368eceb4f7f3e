// Package http1 is the client's side of HTTP/1.1 connections that carry one request after the other, each tried once.
// net/http's Transport tries again in silence, which would hide lost requests, and hands each one through two
// goroutines more, which took a third of the time of what is measured here.
package http1

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// Conn is one connection. It is not for use by several goroutines at once, but for Close.
type Conn struct {
	net.Conn
	reader *bufio.Reader
	spent  bool
}

// New returns the client's side of a connection.
func New(conn net.Conn) *Conn {
	return &Conn{Conn: conn, reader: bufio.NewReaderSize(conn, 4096)}
}

// Usable tells whether another request may be sent: the last one left the connection in order, and the other side has
// not closed it since.
func (c *Conn) Usable() bool { return !c.spent && !closed(c.Conn) }

// get tells http.ReadResponse which responses have a body.
var get = &http.Request{Method: http.MethodGet}

// Response is a final response, and the beginning of its body.
type Response struct {
	Status int // 0 if none came
	Header http.Header
	Body   []byte
}

// Get sends a GET request, as its bytes, and returns the response. Its whole body is read, and limit bytes of it are
// kept. A response whose body broke off is returned beside the error.
func (c *Conn) Get(request []byte, limit int64) (Response, error) {
	c.spent = true
	if _, err := c.Write(request); err != nil {
		return Response{}, err
	}
	response, err := c.final()
	if err != nil {
		return Response{}, err
	}
	defer response.Body.Close()
	got := Response{Status: response.StatusCode, Header: response.Header}
	if got.Body, err = io.ReadAll(io.LimitReader(response.Body, limit)); err != nil {
		return got, err
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return got, err
	}
	c.spent = response.Close || c.reader.Buffered() > 0
	return got, nil
}

// final returns the response that follows any interim ones.
func (c *Conn) final() (*http.Response, error) {
	for {
		response, err := http.ReadResponse(c.reader, get)
		if err != nil {
			return nil, err
		}
		if response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols {
			return response, nil
		}
	}
}
