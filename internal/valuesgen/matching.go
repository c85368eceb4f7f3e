package valuesgen

import (
	"regexp/syntax"
	"strings"
)

// matching is a text that matches a regular expression.
func (r *run) matching(pattern string) string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		panic("valuesgen: the schema's pattern " + pattern + ": " + err.Error())
	}
	var out strings.Builder
	r.write(&out, re)
	return out.String()
}

func (r *run) write(out *strings.Builder, re *syntax.Regexp) {
	repeat := func(low, high int) {
		if high < 0 || high > low+4 {
			high = low + 4
		}
		for range low + r.IntN(high-low+1) {
			r.write(out, re.Sub[0])
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		out.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		// One of the ranges, then one of it: what is rare in a class is as likely as its letters.
		i := 2 * r.IntN(len(re.Rune)/2)
		out.WriteRune(re.Rune[i] + rune(r.IntN(int(min(re.Rune[i+1], re.Rune[i]+64)-re.Rune[i])+1)))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		out.WriteByte("abc"[r.IntN(3)])
	case syntax.OpStar:
		repeat(0, -1)
	case syntax.OpPlus:
		repeat(1, -1)
	case syntax.OpQuest:
		repeat(0, 1)
	case syntax.OpRepeat:
		repeat(re.Min, re.Max)
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			r.write(out, sub)
		}
	case syntax.OpAlternate:
		r.write(out, re.Sub[r.IntN(len(re.Sub))])
	case syntax.OpCapture:
		r.write(out, re.Sub[0])
	}
}
