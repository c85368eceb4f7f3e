package diff

import (
	"fmt"

	"github.com/Masterminds/semver/v3"
)

// Chart is what is compared of a chart beside what it renders.
type Chart struct {
	Name        string
	Version     string
	KubeVersion string // the constraint in Chart.yaml; empty allows all
	Schema      []byte // values.schema.json; nil where there is none
	Archive     string // a digest of the packaged files
}

// Charts compares the charts themselves.
func Charts(was, now Chart) ([]Change, error) {
	out, err := Schemas(was.Schema, now.Schema)
	if err != nil {
		return nil, err
	}
	add := func(rule rule, path, old, new string) {
		c := change(rule)
		c.Path, c.Old, c.New = path, old, new
		out = append(out, c)
	}
	if was.Name != now.Name {
		add(chartRenamed, "Chart.yaml name", was.Name, now.Name)
	}
	lost, won, err := kubeVersions(was.KubeVersion, now.KubeVersion)
	if err != nil {
		return nil, err
	}
	switch {
	case lost:
		add(kubeNarrowed, "Chart.yaml kubeVersion", was.KubeVersion, now.KubeVersion)
	case won:
		add(kubeWidened, "Chart.yaml kubeVersion", was.KubeVersion, now.KubeVersion)
	}
	if was.Archive != now.Archive {
		add(archive, "files", "", "")
	}
	return sorted(out), nil
}

// kubeVersions says whether the second constraint refuses a version that the first allows, and
// the other way round.
func kubeVersions(was, now string) (lost, won bool, err error) {
	if was == now {
		return false, false, nil
	}
	allows := func(constraint string) (func(*semver.Version) bool, error) {
		if constraint == "" {
			return func(*semver.Version) bool { return true }, nil
		}
		c, err := semver.NewConstraint(constraint)
		if err != nil {
			return nil, fmt.Errorf("kubeVersion %q: %w", constraint, err)
		}
		return c.Check, nil
	}
	before, err := allows(was)
	if err != nil {
		return false, false, err
	}
	after, err := allows(now)
	if err != nil {
		return false, false, err
	}
	for minor := range uint64(100) {
		for _, patch := range []uint64{0, 1, 99} {
			v := semver.New(1, minor, patch, "", "")
			lost = lost || before(v) && !after(v)
			won = won || after(v) && !before(v)
		}
	}
	return lost, won, nil
}

// Gate says whether a chart's version says what its changes are.
type Gate struct {
	Base    string `json:"base"`    // what the changes are counted from
	Level   Level  `json:"level"`   // of the gravest change
	Old     string `json:"old"`     // versions in Chart.yaml
	New     string `json:"new"`     //
	Minimum string `json:"minimum"` // the lowest version that would do
	Pass    bool   `json:"pass"`
	Reason  string `json:"reason"`
}

// String is the judgement in one line.
func (g Gate) String() string {
	if g.Base == "" {
		return g.Reason
	}
	return "since " + g.Base + ": " + g.Reason
}

// Judge holds a version against the changes since the old one. Before 1.0.0 a major change
// needs a new minor version, and any other a new patch version, as npm and cargo read it too.
// Base is what the changes are counted from, for the reader.
func Judge(base string, level Level, old, new string) (Gate, error) {
	g := Gate{Base: base, Level: level, Old: old, New: new}
	was, err := semver.StrictNewVersion(old)
	if err != nil {
		return g, fmt.Errorf("version %q of the old chart: %w", old, err)
	}
	now, err := semver.StrictNewVersion(new)
	if err != nil {
		return g, fmt.Errorf("version %q of the new chart: %w", new, err)
	}
	lowest := *was
	stable := was.Prerelease() == "" // a prerelease promises nothing
	switch {
	case level == None:
	case !stable:
		lowest = was.IncPatch() // the release that it came before
	case level == Major && was.Major() > 0:
		lowest = was.IncMajor()
	case level == Major || level == Minor && was.Major() > 0:
		lowest = was.IncMinor()
	default:
		lowest = was.IncPatch()
	}
	g.Minimum = lowest.String()
	core := semver.New(now.Major(), now.Minor(), now.Patch(), "", "") // 2.0.0-rc.1 announces 2.0.0
	switch {
	case level == None && now.Equal(was):
		g.Pass, g.Reason = true, "nothing changed"
	case now.LessThan(was):
		g.Reason = fmt.Sprintf("%s is lower than %s", new, old)
	case now.Equal(was):
		g.Reason = fmt.Sprintf("the change is %s, and the version is still %s: it must be %s or higher", level, old, g.Minimum)
	case stable && core.LessThan(&lowest):
		g.Reason = fmt.Sprintf("the change is %s, and %s after %s is too small: it must be %s or higher", level, new, old, g.Minimum)
	default:
		g.Pass, g.Reason = true, fmt.Sprintf("%s after %s is enough for a %s change", new, old, level)
	}
	return g, nil
}
