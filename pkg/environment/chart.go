package environment

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"go.yaml.in/yaml/v3"

	"chartbasico/pkg/problem"
)

// The keys of a repository that are read, and those that would put a secret into git.
var (
	repositoryKeys = []string{"name", "url", "oci", "caFile", "plainHttp"}
	credentialKeys = []string{"username", "password"}
)

const (
	ociScheme    = "oci://"
	exactVersion = "one exact version, such as 1.2.0, so that every run is of the same chart"
)

// ParsePublished reads oci://HOST/PATH/NAME:VERSION.
func ParsePublished(reference string) (*Published, error) {
	p, version, err := parseOCI(reference)
	if err == nil && !isExact(version) {
		err = errors.New(exactVersion + ": oci://HOST/PATH/NAME:VERSION")
	}
	if err != nil {
		return nil, fmt.Errorf("found %q, expected %w", reference, err)
	}
	p.Version = version
	return p, nil
}

// parseOCI takes a reference apart; as Helmfile reads it, the version may stand in it. The error is what was expected.
func parseOCI(reference string) (p *Published, version string, expected error) {
	rest := strings.TrimPrefix(reference, ociScheme)
	if strings.Contains(rest, "@") {
		return nil, "", errors.New("a version, not a digest")
	}
	slash := strings.LastIndex(rest, "/")
	name, version, _ := strings.Cut(rest[slash+1:], ":")
	if slash < 1 || name == "" {
		return nil, "", errors.New("oci://HOST/PATH/NAME")
	}
	return &Published{Repository: ociScheme + rest[:slash], Name: name}, version, nil
}

// isExact says whether a version names one chart. Helm takes 1.2 for a range.
func isExact(version string) bool {
	_, err := semver.StrictNewVersion(strings.TrimPrefix(version, "v"))
	return err == nil
}

// repository reads an entry of repositories as Helmfile does: the url of a registry has no scheme.
func (d *decoder) repository(node *yaml.Node, path string) {
	before := len(d.problems)
	var p Published
	var name, url string
	var secret, at *yaml.Node
	oci := false
	d.fields(node, path, slices.Concat(repositoryKeys, credentialKeys), nil, func(key string, value *yaml.Node) {
		switch key {
		case "name":
			name = d.text(value, join(path, key))
		case "url":
			url, at = strings.TrimSuffix(d.text(value, join(path, key)), "/"), value
		case "oci":
			oci = d.boolean(value, join(path, key))
		case "plainHttp":
			p.PlainHTTP = d.boolean(value, join(path, key))
		case "caFile":
			p.CAFile = d.caFile(value, join(path, key))
		default:
			secret = value
		}
	})
	if secret != nil {
		fix := "remove username and password; helm repo add --username keeps them, also where HELM_REPOSITORY_CONFIG says"
		if oci {
			fix = "remove username and password; helm registry login keeps them, also where HELM_REGISTRY_CONFIG says"
		}
		d.add(secret.Line, path, "credentials", "none in a file that others read", fix)
	}
	const urls = "http:// or https:// and where index.yaml is, or with oci: true host/path of a registry"
	scheme, rest, whole := strings.Cut(url, "://")
	switch web := scheme == "http" || scheme == "https"; {
	case len(d.problems) > before:
	case name == "" || url == "":
		d.add(node.Line, path, "a repository without name or url", "name and url", "add what is missing")
	case strings.Contains(name, "/"):
		d.add(node.Line, join(path, "name"), problem.Quote(name), "a name without slash, as charts are named by NAME/CHART", "choose another name")
	case oci && whole:
		d.add(at.Line, join(path, "url"), problem.Quote(url), urls, "write "+rest)
	case !oci && whole && scheme == "oci":
		d.add(at.Line, join(path, "url"), problem.Quote(url), urls, "write "+rest+", and oci: true")
	case !oci && (!whole || !web):
		d.add(at.Line, join(path, "url"), problem.Quote(url), urls, "write https:// before it, or add oci: true")
	case !oci && p.PlainHTTP:
		d.add(node.Line, join(path, "plainHttp"), "true", "oci: true beside it", "remove it; the url of an index says http:// itself")
	case oci:
		p.Repository = ociScheme + url
	default:
		p.Repository = url
	}
	if _, twice := d.repositories[name]; twice {
		d.add(node.Line, join(path, "name"), "repository "+problem.Quote(name)+" stands twice", "each repository once", "remove one of the two")
	}
	d.repositories[name] = p // a wrong one too, whose charts are not wrong for that
}

func (d *decoder) caFile(node *yaml.Node, path string) string {
	name := d.text(node, path)
	if name == "" {
		return ""
	}
	file := d.abs(name)
	if _, err := os.Stat(file); err != nil {
		d.add(node.Line, path, "no file "+problem.Quote(name), "certificates in PEM, relative to this file", "correct the path or add the file")
	}
	return file
}

// chart says where a release's chart is: on this machine, or published.
func (d *decoder) chart(r *Release, node, version *yaml.Node) {
	path := join(r.Path, "chart")
	name := d.text(node, path)
	wanted, versionLine := "", r.Line
	if version != nil {
		wanted, versionLine = d.text(version, join(r.Path, "version")), version.Line
		if wanted == "" {
			return
		}
	}
	if name == "" {
		return
	}
	at := d.abs(name)
	_, err := os.Stat(filepath.Join(at, "Chart.yaml"))
	if filepath.Ext(at) == ".tgz" {
		_, err = os.Stat(at)
	}
	alias, below, _ := strings.Cut(name, "/")
	repository, known := d.repositories[alias]
	switch {
	case strings.HasPrefix(name, ociScheme):
		p, inName, wrong := parseOCI(name)
		if wrong != nil {
			d.add(node.Line, path, problem.Quote(name), wrong.Error(), "correct it, with the version in a line of its own")
			return
		}
		if wanted != "" && inName != "" && wanted != inName {
			d.add(versionLine, join(r.Path, "version"), problem.Quote(wanted)+", and "+inName+" in chart", "one version", "remove one of the two")
			return
		}
		wanted, r.Published = cmp.Or(wanted, inName), p
	case strings.Contains(name, "://"):
		d.add(node.Line, path, problem.Quote(name), "oci://HOST/PATH/NAME, or NAME/CHART of an entry of repositories", "name its repository in repositories, or helm pull the chart")
		return
	case known && err == nil && below != "":
		d.add(node.Line, path, problem.Quote(name)+", which is both in repository "+alias+" and a directory", "one chart", "write ./"+name+" for the directory, or rename the repository")
		return
	case known && below != "":
		if repository.Repository == "" {
			return
		}
		repository.Name = below
		if slash := strings.LastIndex(below, "/"); repository.OCI() && slash >= 0 {
			repository.Repository, repository.Name = repository.Repository+"/"+below[:slash], below[slash+1:]
		}
		r.Published = &repository
	case err != nil:
		fix := "correct the path"
		if strings.Count(name, "/") == 1 && below != "" {
			fix += ", or add repository " + alias + " to repositories"
		}
		d.add(node.Line, path, "no chart at "+problem.Quote(name), "a directory with a Chart.yaml, or a chart's archive, .tgz, relative to this file, or oci://HOST/PATH/NAME", fix)
		return
	default:
		r.Chart = at
		if version != nil {
			d.add(versionLine, join(r.Path, "version"), problem.Quote(wanted)+" of a chart on this machine", "the version that its Chart.yaml says", "remove it")
		}
		return
	}
	switch {
	case wanted == "":
		d.add(r.Line, join(r.Path, "version"), "no version of "+name, exactVersion, "add version")
	case !isExact(wanted):
		d.add(versionLine, join(r.Path, "version"), problem.Quote(wanted), exactVersion, "write one version in full")
	}
	r.Published.Version = wanted
}
