package crdt_test

import (
	"testing"

	"sluice/crdt"
)

func TestParseStampRefuses(t *testing.T) {
	for _, text := range []string{
		"", "-", "0000000000000001", "0000000000000001-", "0000000000000001-000000000000000g",
		"+000000000000001-0000000000000001", "0000000000000001_0000000000000001",
		"00000000000000001-000000000000001",
	} {
		if s, err := crdt.ParseStamp(text); err == nil {
			t.Errorf("%q is read as %v", text, s)
		}
	}
}

func FuzzParseStamp(f *testing.F) {
	f.Add("0000000000000001-8000000000000001")
	f.Add("ffffffffffffffff-ffffffffffffffff")
	f.Add("00000000000000A1-8000000000000001")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := crdt.ParseStamp(text)
		if err != nil {
			return
		}
		back, err := crdt.ParseStamp(s.String())
		if err != nil || back != s {
			t.Errorf("%q: %v became %v (%v)", text, s, back, err)
		}
	})
}
