package docs

const (
	nobodys  = "the host is nobody's: a registry of the test answers in its place, which is reached by a proxy"
	kind     = "a cluster of kind needs a container runtime, and minutes"
	minutes  = "make test runs the same tests, with fewer cases"
	arriving = "on a busy machine the proxies may have what Helm has installed a moment later"
	fewer    = "fewer requests do, as numbers are not compared"
)

// listed are the commands that are not run as they stand.
var listed = map[string]instead{
	"make demo": {"it is this, on a cluster that stays for the commands after it; " + fewer,
		`eval "$(bin/basico cluster create 2>/dev/null)" && bin/basico verify environments/bookinfo-prod.yaml --cluster basico --requests 1000 2>/dev/null`},
	"make test":  {"this is a part of it", ""},
	"make build": {"make test has built it", ""},
	"basico verify environments/bookinfo-prod.yaml": {"it is run in place of make demo", ""},
	"basico promote environments/bookinfo-prod.yaml reviews --to canary --write": {fewer,
		"bin/basico promote environments/bookinfo-prod.yaml reviews --to canary --write --requests 1000 --pace 1000"},
	"basico promote environments/bookinfo-prod.yaml reviews":         {"the guide goes all the way", ""},
	"basico promote environments/bookinfo-prod.yaml reviews --to v1": {"the guide and the how-tos go back", ""},
	"basico publish --key release-key.asc --to oci://registry.example.com/charts": {nobodys,
		"HTTPS_PROXY=$REGISTRY_PROXY SSL_CERT_FILE=$REGISTRY_CA bin/basico publish --key release-key.asc --to oci://registry.example.com/charts"},
	"basico publish --to oci://registry.example.com/charts --dry-run": {nobodys,
		"HTTPS_PROXY=$REGISTRY_PROXY SSL_CERT_FILE=$REGISTRY_CA bin/basico publish --to oci://registry.example.com/charts --dry-run"},
	"export KUBECONFIG=…": {"it is done in place of make demo", ""},
	"basico verify environments/hello.yaml --cluster basico --requests 1000 --junit junit.xml --report report.html -o json >result.json": {
		"verify is run three times above; the flags are the same for traffic, which is shorter",
		"basico traffic environments/hello.yaml hello --junit junit.xml --report report.html -o json >result.json"},
	"basico promote environments/hello.yaml hello --write": {fewer, "basico promote environments/hello.yaml hello --write --requests 1000"},

	"kubectl -n istio-system port-forward service/istio-ingressgateway 8080:80 &": {"a test must know when it is there",
		"kubectl -n istio-system port-forward service/istio-ingressgateway 8080:80 >forward.log 2>&1 &\nuntil grep -q Forwarding forward.log; do sleep 0.1; done"},
	"kill %1": {"each block has a shell of its own here", ""},

	"curl -si -H 'Host: portada.example.com' -H 'Basico-Call: http://tiempo.example.com/' localhost:8080 | grep -E 'HTTP|served-by'": {arriving,
		"until curl -si -H 'Host: portada.example.com' -H 'Basico-Call: http://nadie.example.com/' localhost:8080 | grep -q ' 502 '; do sleep 0.1; done\n" +
			"curl -si -H 'Host: portada.example.com' -H 'Basico-Call: http://tiempo.example.com/' localhost:8080 | grep -E 'HTTP|served-by'"},
	"curl -si -H 'Host: hello.example.com' -H 'Basico-Call: http://orders.db.example.com:5432/' localhost:8080 | grep -E 'HTTP|served-by'": {arriving,
		"until curl -si -H 'Host: hello.example.com' -H 'Basico-Call: http://other.db.example.com:5432/' localhost:8080 | grep -q ' 502 '; do sleep 0.1; done\n" +
			"curl -si -H 'Host: hello.example.com' -H 'Basico-Call: http://orders.db.example.com:5432/' localhost:8080 | grep -E 'HTTP|served-by'"},

	"ct lint --config ct.yaml": {"make lint runs it", ""},
	"cd charts/chart_basico && ct install --config ../../ct.yaml --charts .": {"test/commands_test.go runs it", ""},

	"make cluster":                                                                         {kind, ""},
	"basico cluster create --kind kind":                                                    {kind, ""},
	"basico cluster status --kind kind":                                                    {kind, ""},
	"basico cluster delete --kind kind":                                                    {kind, ""},
	"basico verify environments/bookinfo-prod.yaml --on kind":                              {kind, ""},
	"basico verify environments/bookinfo-prod.yaml --on kind --cluster basico":             {kind, ""},
	"basico verify environments/bookinfo-prod.yaml --context staging":                      {"there is no such cluster", ""},
	"basico traffic environments/bookinfo-prod.yaml reviews --on kind":                     {kind, ""},
	"basico promote environments/bookinfo-prod.yaml reviews --on kind --slower 10":         {kind, ""},
	"basico promote environments/bookinfo-prod.yaml reviews --context staging --slower 10": {"there is no such cluster", ""},
	"make test-kind": {kind, ""},
	"basico verify environments/bookinfo-prod.yaml -o json > local.json":                                    {"what it prints is read again by the test of the command", ""},
	"basico verify environments/bookinfo-prod.yaml --on kind --beside local.json --report kind-report.html": {kind, ""},

	"go test ./test -run 'TestAPIServerTakesEverything|TestCheckRefuses|TestUpgrade' -v -args -random 1000 -seed 7": {minutes, ""},
	"git archive --format=tar 18b7c97 charts/chart_basico values | gzip -n >test/testdata/previous.tar.gz": {
		"it needs the project's history, and is done once for a release", ""},
	"go test ./pkg/check -run TestEveryKubernetesVersion -v":                                                                  {"make test runs it", ""},
	"go test ./test/chart -run 'TestRandomValues|TestNamesAndSelectorsStay|TestConfigRestarts' -v -args -random 2000 -seed 7": {minutes, ""},
	"go test ./test/chart -run '^$' -fuzz FuzzValues -fuzztime 5m":                                                            {minutes, ""},
	"go test ./test/chart -v -run 'TestEveryBranchIsTaken|TestEveryLineMatters'":                                              {minutes, ""},
	"BASICO_MUTANTS=all go test ./test/chart -v -run TestEveryLineMatters -timeout 30m":                                       {minutes, ""},
	"BASICO_MUTANTS=templates/exposure go test ./test/chart -v -run TestEveryLineMatters":                                     {minutes, ""},
}
