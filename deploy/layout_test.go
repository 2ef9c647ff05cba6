package deploy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "sluice"

// pkg is what `go list -json` tells about a package.
type pkg struct {
	ImportPath                         string
	Dir                                string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports, TestImports, XTestImports []string
}

func TestOnlyTheseTopLevelEntries(t *testing.T) {
	allowed := []string{
		"cmd", "crdt", "deploy", "events", "proxy",
		"Dockerfile", "LICENSE", "README.md", "go.mod", "go.sum",
	}
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(allowed, e.Name()) {
			t.Errorf("%s does not belong at the top of the repository; allowed: %v and dot-files", e.Name(), allowed)
		}
	}
}

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			test := !slices.Contains(p.Imports, imported)
			if reason := forbidden(local(p.ImportPath), local(imported), test); reason != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imported, reason)
			}
		}
	}
}

// forbidden tells why the package at path `from` may not import the one at `to`, both
// below the module; "" if it may. An empty `to` is a package of somebody else.
func forbidden(from, to string, test bool) string {
	root, child, _ := strings.Cut(from, "/")
	target, targetChild, _ := strings.Cut(to, "/")
	switch {
	case to == "deploy/testport" && test:
		return ""
	case to == "" || to == from || root == "deploy" && strings.HasPrefix(from, "deploy/e2e"):
		return ""
	case target == "cmd" && root != "cmd":
		return "only commands know commands"
	case target == "deploy":
		return "nothing builds on deploy"
	case root == "deploy":
		return "deploy builds on nothing"
	case root == "cmd" || target == "crdt" && root != "crdt":
		return ""
	case root != target:
		return "crdt knows nobody else; events and proxy do not know each other"
	case root == "crdt":
		return forbiddenInCRDT(child, targetChild)
	case strings.HasPrefix(targetChild, "internal/"):
		return "" // a part of its root, which the compiler keeps from everybody else
	case child == "" && !test:
		return "a root package declares interfaces, its children implement them"
	case child != "" && targetChild != "" && !test:
		return "siblings do not know each other"
	}
	return ""
}

func forbiddenInCRDT(child, target string) string {
	switch {
	case child == "":
		return "the root of crdt imports nothing of this module"
	case target == "" || child == "service" && target == "seal":
		return ""
	}
	return "siblings do not know each other (service may use seal)"
}

func TestForbidden(t *testing.T) {
	allowed := [][2]string{
		{"events/api", "events"}, {"events/api", "crdt/service"}, {"events", "crdt"}, {"proxy", "crdt/service"},
		{"cmd/internal/node", "events/stream"}, {"crdt/service", "crdt/seal"}, {"deploy/e2e", "events"}, {"crdt/hlc", "crdt"},
		{"events", "events/internal/rule"},
	}
	refused := [][2]string{
		{"crdt", "crdt/hlc"}, {"crdt/seal", "crdt/service"}, {"events/api", "events/stream"}, {"events", "proxy"},
		{"proxy", "events"}, {"proxy/certs", "proxy/haproxy"}, {"crdt", "events"}, {"events", "cmd/internal/node"}, {"deploy/demo", "crdt"},
	}
	for _, c := range allowed {
		if reason := forbidden(c[0], c[1], false); reason != "" {
			t.Errorf("%s -> %s is refused: %s", c[0], c[1], reason)
		}
	}
	for _, c := range refused {
		if forbidden(c[0], c[1], false) == "" {
			t.Errorf("%s -> %s is allowed", c[0], c[1])
		}
	}
}

func TestFilesStayReadable(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			path := filepath.Join(p.Dir, name)
			if n := lines(t, path); n > 500 {
				t.Errorf("%s has %d lines; split it (300 asks for a reason, 500 is the end)", path, n)
			}
		}
	}
}

func TestEveryPackageHasItsREADME(t *testing.T) {
	for _, p := range packages(t) {
		root, _, _ := strings.Cut(local(p.ImportPath), "/")
		if root == "cmd" || strings.HasSuffix(p.ImportPath, "test") {
			continue // described by --help and the main README; by the package it helps to test
		}
		if _, err := os.Stat(filepath.Join(p.Dir, "README.md")); err != nil {
			t.Errorf("%s: %v", p.ImportPath, err)
		}
	}
}

// TestNoHiddenInputs: below cmd nothing depends on flags, environment or init.
func TestNoHiddenInputs(t *testing.T) {
	for _, p := range packages(t) {
		if root, _, _ := strings.Cut(local(p.ImportPath), "/"); root == "cmd" || root == "deploy" {
			continue
		}
		for _, name := range p.GoFiles {
			for _, found := range hiddenInputs(t, filepath.Join(p.Dir, name)) {
				t.Error(found)
			}
		}
	}
}

func hiddenInputs(t *testing.T, path string) []string {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	report := func(n ast.Node, what string) {
		found = append(found, fmt.Sprintf("%s: %s", set.Position(n.Pos()), what))
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				report(n, "init runs before main could decide anything")
			}
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if ok && x.Name == "os" && slices.Contains([]string{"Getenv", "LookupEnv", "Environ", "Args"}, n.Sel.Name) {
				report(n, "only commands read os."+n.Sel.Name)
			}
		case *ast.ImportSpec:
			if n.Path.Value == `"flag"` {
				report(n, "only commands read flags")
			}
		}
		return true
	})
	return found
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json", "./...")
	cmd.Dir = ".."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, &stderr)
	}
	var list []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// local is the path below the module, "." for the module itself, "" for foreign packages.
func local(importPath string) string {
	if importPath == module {
		return "."
	}
	below, ok := strings.CutPrefix(importPath, module+"/")
	if !ok {
		return ""
	}
	return below
}

func lines(t *testing.T, path string) int {
	t.Helper()
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(data, []byte("\n"))
}
