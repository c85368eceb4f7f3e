package promote

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"chartbasico/internal/wholefile"
	"chartbasico/internal/yamlnode"
	"chartbasico/pkg/environment"
)

var stagePath = []string{"routing", "stage"}

// StageFile is the values file that decides at which stage a release is: the last that sets routing.stage. The error
// says why the stage cannot be written there.
func StageFile(r environment.Release) (string, error) {
	for _, values := range r.Values {
		if stageOf(values) != "" {
			return "", fmt.Errorf("%s, line %d: routing.stage is set in the environment file itself, which is not changed; move it to a values file", r.File, r.Line)
		}
	}
	found := ""
	for _, file := range r.ValuesFiles {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		var values map[string]any
		if err := yaml.Unmarshal(data, &values); err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
		if stageOf(values) != "" {
			found = file
		}
	}
	if found == "" {
		return "", fmt.Errorf("release %s: no values file sets routing.stage", r.ID())
	}
	data, err := os.ReadFile(found)
	if err == nil {
		_, err = yamlnode.ReplaceString(data, stagePath, "x")
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", found, err)
	}
	return found, nil
}

// WriteStage sets routing.stage in a values file, and leaves everything else in it as it is. It says whether that was a
// change. The file is replaced as a whole, never half written.
func WriteStage(file, stage string) (changed bool, err error) {
	if file, err = filepath.EvalSymlinks(file); err != nil {
		return false, err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	out, err := yamlnode.ReplaceString(data, stagePath, stage)
	if err != nil {
		return false, fmt.Errorf("%s: %w", file, err)
	}
	if string(out) == string(data) {
		return false, nil
	}
	info, err := os.Stat(file)
	if err != nil {
		return false, err
	}
	return true, wholefile.Write(file, out, info.Mode().Perm())
}
