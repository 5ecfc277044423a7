// Renders the templates of a Helm chart by Go's own text/template, with the few functions of Helm's that the chart uses.
// Standard input: {"data": {…}, "files": {path: text}, "templates": {path: text}}; standard output: {path: text}.
// Stricter than Helm in one thing: a key that is not there is an error, not nothing.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/template"
)

type chartFiles map[string]string

func (files chartFiles) Get(path string) (string, error) {
	text, found := files[path]
	if !found {
		return "", errors.New("no such file: " + path)
	}
	return text, nil
}

func isEmpty(value any) bool {
	truth, ok := template.IsTrue(value)
	return !ok || !truth
}

func indent(spaces int, text string) string {
	pad := strings.Repeat(" ", spaces)
	return pad + strings.ReplaceAll(text, "\n", "\n"+pad)
}

func main() {
	var input struct {
		Data      map[string]any    `json:"data"`
		Files     chartFiles        `json:"files"`
		Templates map[string]string `json:"templates"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		fail(err)
	}
	input.Data["Files"] = input.Files
	root := template.New("chart").Option("missingkey=error")
	root.Funcs(template.FuncMap{
		"include": func(name string, data any) (string, error) {
			var text bytes.Buffer
			err := root.ExecuteTemplate(&text, name, data)
			return text.String(), err
		},
		"toYaml": func(value any) (string, error) { // JSON is YAML
			text, err := json.Marshal(value)
			return string(text), err
		},
		"nindent": func(spaces int, text string) string { return "\n" + indent(spaces, text) },
		"quote":   func(value any) string { return fmt.Sprintf("%q", fmt.Sprint(value)) },
		"default": func(fallback any, value any) any {
			if isEmpty(value) {
				return fallback
			}
			return value
		},
		"required": func(complaint string, value any) (any, error) {
			if value == nil || value == "" {
				return nil, errors.New(complaint)
			}
			return value, nil
		},
		"contains": func(part string, text string) bool { return strings.Contains(text, part) },
		"list":     func(items ...any) []any { return items },
		"trunc": func(length int, text string) string {
			if len(text) > length {
				return text[:length]
			}
			return text
		},
		"trimSuffix": func(suffix string, text string) string { return strings.TrimSuffix(text, suffix) },
	})
	for path, text := range input.Templates {
		if _, err := root.New(path).Parse(text); err != nil {
			fail(err)
		}
	}
	output := map[string]string{}
	for path := range input.Templates {
		var text bytes.Buffer
		if err := root.ExecuteTemplate(&text, path, input.Data); err != nil {
			fail(err)
		}
		output[path] = text.String()
	}
	if err := json.NewEncoder(os.Stdout).Encode(output); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
