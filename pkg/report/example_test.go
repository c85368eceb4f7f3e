package report_test

import (
	"fmt"
	"os"

	"chartbasico/pkg/assert"
	"chartbasico/pkg/report"
)

func ExampleReport_Text() {
	s := report.Split{
		Environment: "bookinfo-prod", App: "reviews", Stage: "canary", From: "ingress gateway",
		Requests: 10000,
		Want:     map[string]int{"v1": 90, "v2": 10},
		Got:      map[string]int{"v1": 8951, "v2": 1049},
	}
	s.Judge(assert.Split(s.Want, s.Got, s.Errors, 1e-6))
	r := report.Report{Environments: []string{"bookinfo-prod"}, Splits: []report.Split{s}}
	if err := r.Text(os.Stdout, report.TextOptions{}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// bookinfo-prod: held
	//   1 of 1 splits passed
	//
	// Splits
	//   reviews in bookinfo-prod
	//           stage   from             requests  errors  version  wanted  measured      interval
	//     pass  canary  ingress gateway    10,000       0  v1          90%    89.51%  87.94–90.95%
	//                                                      v2          10%    10.49%   9.05–12.06%
}
