package proxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// page is an error page of the operator's as it was when HAProxy was asked about it.
type page struct {
	path     string
	size     int64
	modified time.Time
	reason   string // why it is not used, "" if it is
}

// pageCodes are the status codes that HAProxy has pages for.
func pageCodes() []int {
	return []int{400, 401, 403, 404, 405, 407, 408, 410, 413, 425, 429, 500, 501, 502, 503, 504}
}

// findPages are the error pages that exist, by status code.
func findPages(dir string) map[int]page {
	found := map[int]page{}
	if dir == "" {
		return found
	}
	for _, code := range pageCodes() {
		path, err := filepath.Abs(filepath.Join(dir, strconv.Itoa(code)+".http"))
		if err != nil {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			found[code] = page{path: path, size: info.Size(), modified: info.ModTime()}
		}
	}
	return found
}

// errorfiles are the error pages that HAProxy takes, by status code; problems has a line for
// each other one. One bad page would keep every configuration from loading, so each is shown to
// HAProxy before it is used, all new ones at once.
func (c *Controller) errorfiles(ctx context.Context) (usable map[int]string, problems []string) {
	found := findPages(c.options.ErrorfilesDir)
	fresh := map[int]string{}
	for code, p := range found {
		before, known := c.pages[code]
		if p.reason = before.reason; !known || p != before {
			p.reason = ""
			fresh[code] = p.path
		}
		found[code] = p
	}
	c.judgePages(ctx, found, fresh)
	usable = map[int]string{}
	for _, code := range slices.Sorted(maps.Keys(found)) {
		if p := found[code]; p.reason == "" {
			usable[code] = p.path
		} else {
			problems = append(problems, fmt.Sprintf("error page %s is not used: %s", p.path, p.reason))
		}
	}
	return usable, problems
}

// judgePages notes which of the fresh pages HAProxy refuses; it remembers those that it has an
// opinion on.
func (c *Controller) judgePages(ctx context.Context, found map[int]page, fresh map[int]string) {
	c.pages = maps.Clone(found)
	if len(fresh) == 0 || c.showPages(ctx, fresh) == nil {
		return
	}
	for code, path := range fresh {
		err := c.showPages(ctx, map[int]string{code: path})
		p := found[code]
		var verdict *Verdict
		switch {
		case errors.As(err, &verdict):
			p.reason = "haproxy refuses it: " + oneLine(verdict.Text)
			found[code], c.pages[code] = p, p
		case err != nil:
			delete(c.pages, code) // asked again next time
		}
	}
}

func (c *Controller) showPages(ctx context.Context, pages map[int]string) error {
	view := View{Errorfiles: pages}
	if c.cfg.Certificates != nil {
		var err error
		if view.Fallback, err = c.cfg.Certificates.Fallback(); err != nil {
			return err
		}
	}
	return c.showAlone(ctx, view)
}

// showAlone asks HAProxy about a view without services; a *Verdict is against what is in it, not
// against the proxy's own settings.
func (c *Controller) showAlone(ctx context.Context, view View) error {
	err := c.stage(ctx, Build(c.options, nil, view))
	var verdict *Verdict
	if !errors.As(err, &verdict) || c.cfg.Certificates == nil {
		return err
	}
	fallback, fallbackErr := c.cfg.Certificates.Fallback()
	if fallbackErr != nil {
		return fallbackErr
	}
	if bare := c.stage(ctx, Build(c.options, nil, View{Fallback: fallback})); bare != nil {
		return fmt.Errorf("the proxy's own settings: %s", oneLine(bare.Error()))
	}
	return err
}
