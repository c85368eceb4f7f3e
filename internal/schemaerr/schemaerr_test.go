package schemaerr

import (
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const schema = `{
  "definitions": {"a/b": {"type": "object", "additionalProperties": false, "properties": {"image": {"type": "string"}, "tag": {"type": "string"}}}},
  "type": "object", "additionalProperties": false, "required": ["app"],
  "properties": {
    "app": {"type": "string", "pattern": "^[a-z]+$"},
    "kind": {"enum": ["Deployment", "Job"]},
    "box": {"$ref": "#/definitions/a~1b"},
    "either": {"oneOf": [{"type": "string"}, {"type": "object", "additionalProperties": false, "properties": {"from": {"type": "integer", "maximum": 3}}}]},
    "list": {"type": "array", "items": {"type": ["integer", "null"]}},
    "never": false,
    "boxes": {"type": "object", "additionalProperties": false, "patternProperties": {"^[a-z]([-a-z0-9]{0,9}[a-z0-9])?$": true}, "$comment": "DNS label"},
    "data": {"type": ["string", "object"], "maxLength": 3},
    "secrets": {"type": "object", "additionalProperties": {"type": ["object", "integer"], "maximum": 3, "properties": {"password": {"type": "string", "format": "date"}}}},
    "files": {"type": "object", "additionalProperties": false, "patternProperties": {"^[-._a-zA-Z]+$": true}}
  }
}`

func TestExplain(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	require.NoError(t, compiler.AddResource("mem:///s", doc))
	compiled, err := compiler.Compile("mem:///s")
	require.NoError(t, err)

	for value, want := range map[string]Finding{
		`{}`:                                                  {[]string{}, "", "no app, which is required", "", "add app"},
		`{"app":"A"}`:                                         {[]string{"app"}, "app", `"A"`, "text that matches ^[a-z]+$", ""},
		`{"app":"a","kind":"job"}`:                            {[]string{"kind"}, "kind", `"job"`, "Deployment or Job", "write Job"},
		`{"app":"a","box":{"imgae":"x"}}`:                     {[]string{"box", "imgae"}, "box.imgae", `unknown key "imgae"`, "", "write image"},
		`{"app":"a","box":{"other":"x"}}`:                     {[]string{"box", "other"}, "box.other", `unknown key "other"`, "", "remove it; known here: image, tag"},
		`{"app":"a","either":3}`:                              {[]string{"either"}, "either", "3", "object or string", "quote it"},
		`{"app":"a","either":{"form":1}}`:                     {[]string{"either", "form"}, "either.form", `unknown key "form"`, "", "write from"},
		`{"app":"a","either":{"from":9}}`:                     {[]string{"either", "from"}, "either.from", "9", "at most 3", ""},
		`{"app":"a","list":[1,"x"]}`:                          {[]string{"list", "1"}, "list[1]", `"x"`, "integer", ""},
		`{"app":"a","never":{}}`:                              {[]string{"never"}, "never", "a map", "nothing here", "remove it"},
		`{"app":"a","boxes":{"MyApp":1}}`:                     {[]string{"boxes", "MyApp"}, "boxes.MyApp", `illegal key "MyApp"`, "DNS label, which matches ^[a-z]([-a-z0-9]{0,9}[a-z0-9])?$", "write my-app"},
		`{"app":"a","boxes":{"my_vol.":1}}`:                   {[]string{"boxes", "my_vol."}, "boxes.my_vol.", `illegal key "my_vol."`, "DNS label, which matches ^[a-z]([-a-z0-9]{0,9}[a-z0-9])?$", "write my-vol"},
		`{"app":"a","boxes":{"9":1}}`:                         {[]string{"boxes", "9"}, "boxes.9", `illegal key "9"`, "DNS label, which matches ^[a-z]([-a-z0-9]{0,9}[a-z0-9])?$", "rename it"},
		`{"app":"a","files":{"A/b":1}}`:                       {[]string{"files", "A/b"}, "files.A/b", `illegal key "A/b"`, "a key that matches ^[-._a-zA-Z]+$", "write A_b"},
		`{"app":"a","data":1}`:                                {[]string{"data"}, "data", "1", "object or string", "quote it"},
		`{"app":"a","secrets":{"db":"hunter2"}}`:              {[]string{"secrets", "db"}, "secrets.db", "text", "integer or object", "write it as a map; known here: password"},
		`{"app":"a","secrets":{"db":4}}`:                      {[]string{"secrets", "db"}, "secrets.db", "a number", "at most 3", ""},
		`{"app":"a","secrets":{"db":true}}`:                   {[]string{"secrets", "db"}, "secrets.db", "true", "integer or object", ""},
		`{"app":"a","secrets":{"db":{"password":7}}}`:         {[]string{"secrets", "db", "password"}, "secrets.db.password", "a number", "string", "quote it"},
		`{"app":"a","secrets":{"db":{"password":"hunter2"}}}`: {[]string{"secrets", "db", "password"}, "secrets.db.password", "text", "what its schema takes", ""},
		`{"app":1.1}`:                                         {[]string{"app"}, "app", "1.10", "string", "quote it"},
		`{"app":"a","list":["1"]}`:                            {[]string{"list", "0"}, "list[0]", `"1"`, "integer", "remove the quotes"},
		`{"app":"a","box":"x:1"}`:                             {[]string{"box"}, "box", `"x:1"`, "object", "write it as a map; known here: image, tag"},
		`{"app":"a","box":[{"name":"web"}]}`:                  {[]string{"box"}, "box", "a list", "object", "write web: under it instead of - name: web"},
		`{"app":"a","box":[1]}`:                               {[]string{"box"}, "box", "a list", "object", "write NAME: under it instead of - name: NAME"},
		`{"app":"a","secrets":{"db":[{"name":"hunter2"}]}}`:   {[]string{"secrets", "db"}, "secrets.db", "a list", "integer or object", "write NAME: under it instead of - name: NAME"},
		`{"app":"a","list":{}}`:                               {[]string{"list"}, "list", "a map", "array", ""},
	} {
		t.Run(value, func(t *testing.T) {
			parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(value))
			require.NoError(t, err)
			var invalid *jsonschema.ValidationError
			require.ErrorAs(t, compiled.Validate(parsed), &invalid)
			assert.Equal(t, []Finding{want}, Explain(invalid, doc, parsed, func(path []string) string {
				if value == `{"app":1.1}` || Confidential(path) {
					return "1.10" // as the file has it
				}
				return ""
			}))
		})
	}
}
