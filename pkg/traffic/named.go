package traffic

import "strings"

// named finds the pod that a body names first. A name that goes on as another's is not meant.
func named(body string, pods map[string]string) (version, pod string) {
	first := -1
	for name, v := range pods {
		for from := 0; ; {
			at := strings.Index(body[from:], name)
			if at < 0 {
				break
			}
			at += from
			if end := at + len(name); end == len(body) || !inName(body[end]) {
				if first < 0 || at < first || at == first && len(name) > len(pod) {
					first, version, pod = at, v, name
				}
				break
			}
			from = at + len(name)
		}
	}
	return version, pod
}

// dashed is what of a body may be the name of a pod that a controller made: its words that have a dash, each once, in order.
func dashed(body string) string {
	var words []string
	seen := map[string]bool{}
	for word := range strings.FieldsFuncSeq(body, func(r rune) bool { return r > 'z' || !inName(byte(r)) && r != '.' }) {
		if strings.Contains(word, "-") && !seen[word] {
			seen[word] = true
			words = append(words, strings.Clone(word))
		}
	}
	return strings.Join(words, " ")
}

func inName(c byte) bool {
	return c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
