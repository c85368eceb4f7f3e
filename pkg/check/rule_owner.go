package check

import "chartbasico/pkg/problem"

var ruleOwner = rule{"owner", "Every object is defined once, by one release.", releaseScope, func(m *model) (out problem.List) {
	first := map[string]object{}
	for _, o := range m.objects {
		owner, ok := first[o.key()]
		switch {
		case !ok:
			first[o.key()] = o
		case owner.release.ID() == o.release.ID():
			out = append(out, o.problem("", "defined twice by release "+o.release.ID(), "one definition", "remove one of the two"))
		default:
			out = append(out, o.problem("", "defined by releases "+owner.release.ID()+" and "+o.release.ID(), "one owner", "remove it from the values of one of them: "+owner.file()+" or "+o.file()))
		}
	}
	return out
}}
