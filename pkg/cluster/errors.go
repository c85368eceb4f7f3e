package cluster

import "errors"

// ErrNoPlace is wrapped by errors that say that nothing can be sent from a Place because no such pod runs.
var ErrNoPlace = errors.New("no such place")
