package kind

import (
	"fmt"
	"strings"

	"sigs.k8s.io/kind/pkg/log"
)

var _ log.Logger = logger{}

// V implements log.Logger.
func (l logger) V(level log.Level) log.InfoLogger { return info{l, level == 0} }

type info struct {
	logger
	enabled bool
}

func (i info) Enabled() bool { return i.enabled }

func (i info) Info(message string) {
	// A step that ended is told again, with a tick.
	if !i.enabled || strings.Contains(message, "✓") {
		return
	}
	plain := strings.Map(func(r rune) rune {
		if r > 0x7f {
			return -1
		}
		return r
	}, message)
	if words := strings.Fields(plain); len(words) > 0 {
		i.say("kind: " + strings.Join(words, " "))
	}
}

func (i info) Infof(f string, args ...any) { i.Info(fmt.Sprintf(f, args...)) }
