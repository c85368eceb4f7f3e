// Package cachedir knows where this project keeps what it can make or get again.
package cachedir

import (
	"fmt"
	"os"
	"path/filepath"
)

// Dir is that directory; it need not be there yet.
func Dir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a directory for caches and the clusters' state: %w; set XDG_CACHE_HOME or HOME", err)
	}
	return filepath.Join(dir, "basico"), nil
}
