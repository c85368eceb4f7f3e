package check

import (
	"encoding/json"
	"net"
	"strconv"
	"strings"

	"chartbasico/pkg/problem"
)

// callsAnnotation lists what a workload calls: a JSON list of host:port, each maybe with a path.
const callsAnnotation = "chart-basico/calls"

var ruleCalls = rule{"calls", "Every host and port that a workload says it calls exists.", environmentScope, func(m *model) (out problem.List) {
	for _, p := range m.pods {
		note, ok := p.notes[callsAnnotation]
		if !ok {
			continue
		}
		path := p.template + ".metadata.annotations." + callsAnnotation
		var calls []string
		if err := json.Unmarshal([]byte(note), &calls); err != nil {
			out = append(out, p.problem(path, problem.Quote(note), "a JSON list of host:port", "set calls"))
			continue
		}
		for _, call := range calls {
			address, _, _ := strings.Cut(call, "/")
			host, number, err := net.SplitHostPort(address)
			port, perr := strconv.ParseInt(number, 10, 64)
			if err != nil || perr != nil {
				out = append(out, p.problem(path, problem.Quote(call), "host:port", "set calls"))
				continue
			}
			s := m.lookup(host, p.GetNamespace())
			switch {
			case s == nil:
				out = append(out, m.missing(p.object, path, "it calls "+host, host))
			case !s.has(port):
				out = append(out, p.problem(path, "it calls "+address, "a port of "+s.id+": "+s.portNumbers(), "correct the port"))
			}
		}
	}
	return out
}}
