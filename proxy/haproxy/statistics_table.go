package haproxy

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// errUnreadable: what HAProxy answered is no table.
var errUnreadable = errors.New("unreadable statistics")

// statisticsTable is what "show stat" answers, with the names at rest.
type statisticsTable struct {
	header  []string
	columns map[string]int
	rows    [][]string
}

// read asks HAProxy. Errors: errUnreadable, or that of the socket.
func (s Statistics) read(ctx context.Context) (statisticsTable, error) {
	text, err := ask(ctx, s.socket, "show stat", statisticsTimeout)
	if err != nil {
		return statisticsTable{}, err
	}
	all, err := parseStatistics(text)
	if err != nil || len(all) == 0 {
		return statisticsTable{}, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	t := statisticsTable{header: all[0], columns: map[string]int{}}
	for i, name := range t.header {
		t.columns[strings.TrimPrefix(name, "# ")] = i
	}
	proxy, ok := t.columns["pxname"]
	if !ok {
		return statisticsTable{}, errUnreadable
	}
	for _, row := range all[1:] {
		if proxy >= len(row) {
			continue
		}
		if row[proxy] = s.name(row[proxy]); row[proxy] != "" {
			t.rows = append(t.rows, row)
		}
	}
	t.correct()
	return t, nil
}

// ofService matches the names of services' backends. HAProxy calls one without servers up, since
// it might answer by itself; that of a service has none while no address is known.
var ofService = regexp.MustCompile(`-be[0-9]+_[0-9]+$`)

// correct says of the backends of services without a server that they are down, as HAProxy does
// where the configuration has a server without an address.
func (t statisticsTable) correct() {
	status, ok := t.columns["status"]
	staffed := map[string]bool{} // a backend's servers stand before it
	for _, row := range t.rows {
		cell := t.cells(row)
		backend, server := cell("pxname"), cell("svname")
		switch {
		case server != "FRONTEND" && server != "BACKEND":
			staffed[backend] = true
		case ok && status < len(row) && server == "BACKEND" && !staffed[backend] && ofService.MatchString(backend):
			row[status] = "DOWN"
		}
	}
}

// cells gives the cells of a row by the name of their column; one that is missing is empty.
func (t statisticsTable) cells(row []string) func(column string) string {
	return func(column string) string {
		if i, ok := t.columns[column]; ok && i < len(row) {
			return row[i]
		}
		return ""
	}
}

// CSV is HAProxy's table as its page gives it with ";csv", except that backends have their
// names at rest and those of the pool that nobody has are left out.
func (s Statistics) CSV(ctx context.Context) ([]byte, error) {
	t, err := s.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("read HAProxy's statistics: %w", err)
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	if err := w.WriteAll(append([][]string{t.header}, t.rows...)); err != nil {
		return nil, fmt.Errorf("write HAProxy's statistics: %w", err)
	}
	return b.Bytes(), nil
}

// parseStatistics reads the CSV, whose first row names the columns. An answer that was
// too long ends within a line: that line is left out, half a number would be a lie.
func parseStatistics(text string) ([][]string, error) {
	text = text[:strings.LastIndexByte(text, '\n')+1]
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = -1
	return r.ReadAll()
}
