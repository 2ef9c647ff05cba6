package proxy_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// What HAProxy's parser makes of a configuration, written down again from its manual
// (sections 2.2 "Quoting and escaping", 2.4 "Conditional blocks", 7.1 "ACL basics", 7.3
// "Fetching samples", 8.2.6 "Custom log format") and compared with the program itself by
// TestWordsAreThoseOfHAProxy. Nothing here knows how proxy writes.

// maxWords is how many words HAProxy reads of one line.
const maxWords = 64

// block is one section of a configuration: its opening words and its lines.
type block struct {
	words []string
	lines [][]string
}

// splitLine splits one line as HAProxy does, without comments. Environment variables, which
// only double quotes expand, are an error: nothing that is rendered may use one.
func splitLine(line string) ([]string, error) {
	s := splitter{rest: line}
	for s.rest != "" {
		if err := s.step(); err != nil {
			return nil, fmt.Errorf("%w in %q", err, line)
		}
	}
	if s.quote != 0 {
		return nil, fmt.Errorf("unmatched quote %q in %q", s.quote, line)
	}
	s.end()
	return s.words, nil
}

type splitter struct {
	rest  string
	words []string
	word  strings.Builder
	open  bool // a word has begun, be it an empty one in quotes
	quote byte
}

func (s *splitter) end() {
	if s.open {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.open = false
}

func (s *splitter) put(c byte, length int) {
	s.word.WriteByte(c)
	s.open = true
	s.rest = s.rest[length:]
}

func (s *splitter) step() error {
	c := s.rest[0]
	switch {
	case c == '\n' || c == '\r' || c == '#' && s.quote == 0:
		s.rest = "" // the rest of the line does not exist for HAProxy
	case c == 0:
		return fmt.Errorf("NUL")
	case (c == '"' || c == '\'') && s.quote == 0:
		s.quote, s.open, s.rest = c, true, s.rest[1:]
	case c == s.quote:
		s.quote, s.rest = 0, s.rest[1:]
	case c == '\\' && s.quote != '\'':
		return s.escape()
	case strings.IndexByte(" \t\v\f", c) >= 0 && s.quote == 0:
		s.end()
		s.rest = s.rest[1:]
	case c == '$' && s.quote == '"':
		return fmt.Errorf("environment variable")
	default:
		s.put(c, 1)
	}
	return nil
}

// escape reads what a backslash begins; before all other characters it is literal.
func (s *splitter) escape() error {
	if len(s.rest) == 1 {
		s.put('\\', 1)
		return nil
	}
	switch c := s.rest[1]; c {
	case ' ', '\\', '#', '\'', '"', '$':
		s.put(c, 2)
	case 't', 'n', 'r':
		s.put(map[byte]byte{'t': '\t', 'n': '\n', 'r': '\r'}[c], 2)
	case 'x':
		var n byte
		if _, err := fmt.Sscanf(s.rest+"..", `\x%2x`, &n); err != nil || len(s.rest) < 4 {
			return fmt.Errorf("bad \\x")
		}
		s.put(n, 4)
	default:
		s.put('\\', 1)
	}
	return nil
}

// sectionWords begin a section wherever they are the first word of a line.
var sectionWords = []string{
	"global", "defaults", "frontend", "backend", "listen", "userlist", "peers", "mailers", "resolvers", "program",
	"http-errors", "ring", "log-forward", "cache", "fcgi-app", "namespace_list", "crt-store", "traces", "log-profile", "acme",
}

// parseConfig splits a configuration into sections and lines of words.
func parseConfig(text string) ([]block, error) {
	var blocks []block
	if !strings.HasSuffix(text, "\n") {
		return nil, fmt.Errorf("the last line does not end")
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		words, err := splitLine(line)
		switch {
		case err != nil:
			return nil, err
		case len(words) == 0:
		case len(words) > maxWords:
			return nil, fmt.Errorf("%d words in one line, HAProxy reads %d: %.100q", len(words), maxWords, line)
		case slices.Contains(words, ""):
			return nil, fmt.Errorf("an empty word, which ends the line for HAProxy: %q", line)
		case strings.HasPrefix(words[0], "."):
			return nil, fmt.Errorf("preprocessor line %q", line)
		case slices.Contains(sectionWords, words[0]):
			blocks = append(blocks, block{words: words})
		case len(blocks) == 0:
			return nil, fmt.Errorf("%q is in no section", line)
		default:
			last := &blocks[len(blocks)-1]
			last.lines = append(last.lines, words)
		}
	}
	return blocks, nil
}

// parseMap reads a map file: "key value" lines, comments and empty lines left out.
func parseMap(data string) ([][2]string, error) {
	if !strings.HasSuffix(data, "\n") && data != "" {
		return nil, fmt.Errorf("the last line does not end")
	}
	var lines [][2]string
	for line := range strings.SplitSeq(data, "\n") {
		line = strings.TrimLeft(strings.TrimRight(line, "\r"), " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		end := strings.IndexAny(line, " \t")
		if end < 0 {
			return nil, fmt.Errorf("no value in %q", line)
		}
		lines = append(lines, [2]string{line[:end], strings.Trim(line[end:], " \t")})
	}
	return lines, nil
}

// piece is a part of a log format: literal text, or an expression or variable.
type piece struct {
	text string
	code bool
}

// variables are those of log formats that say something about a connection, a request or a
// response.
var variables = strings.Fields(`B CC CS H HM HP HPO HQ HU HV ID ST T Ta Tc Td Th Ti Tl Tq TR Tr Ts Tt Tu Tw U
	ac b bc bi bp bq ci cp f fc fi fp ft hr hrl hs hsl lc ms o pid r rc rt s sc si sp sq sslc sslv t tr trg trl ts tsc`)

var variablePattern = regexp.MustCompile(`^%(\{[+-][QXE](,[+-][QXE])*\})?([A-Za-z][A-Za-z0-9]*)`)

var flaggedExpression = regexp.MustCompile(`^%\{[+-][QXE](,[+-][QXE])*\}\[`)

// parseFormat reads a log format: %% is a percent sign, %[…] an expression, any other % a
// variable; both may have flags.
func parseFormat(word string) ([]piece, error) {
	var pieces []piece
	var text strings.Builder
	code := func(s string) {
		if text.Len() > 0 {
			pieces = append(pieces, piece{text: text.String()})
			text.Reset()
		}
		pieces = append(pieces, piece{text: s, code: true})
	}
	for word != "" {
		switch {
		case strings.HasPrefix(word, "%%"):
			text.WriteByte('%')
			word = word[2:]
		case strings.HasPrefix(word, "%["), flaggedExpression.MatchString(word):
			end := strings.IndexByte(word, ']')
			if end < 0 {
				return nil, fmt.Errorf("unfinished expression %q", word)
			}
			code(word[:end+1])
			word = word[end+1:]
		case word[0] == '%':
			m := variablePattern.FindStringSubmatch(word)
			if m == nil || !slices.Contains(variables, m[3]) {
				return nil, fmt.Errorf("variable %.20q", word)
			}
			code(m[0])
			word = word[len(m[0]):]
		default:
			text.WriteByte(word[0])
			word = word[1:]
		}
	}
	if text.Len() > 0 {
		pieces = append(pieces, piece{text: text.String()})
	}
	return pieces, nil
}

// call is a sample fetch or converter with its arguments.
type call struct {
	name string
	args []string
}

// parseExpression reads "fetch(args),converter(args)…"; arguments know quotes of their own.
func parseExpression(word string) ([]call, error) {
	var calls []call
	for first := true; first || word != ""; first = false {
		end := strings.IndexAny(word, "(,")
		if end < 0 {
			end = len(word)
		}
		c := call{name: word[:end]}
		word = word[end:]
		if strings.HasPrefix(word, "(") {
			var err error
			if c.args, word, err = parseArguments(word[1:]); err != nil {
				return nil, err
			}
		}
		calls = append(calls, c)
		if word != "" && word[0] != ',' {
			return nil, fmt.Errorf("%q follows a call", word)
		}
		word = strings.TrimPrefix(word, ",")
	}
	return calls, nil
}

func parseArguments(in string) (args []string, rest string, err error) {
	var arg strings.Builder
	quote := byte(0)
	for i := 0; i < len(in); i++ {
		switch c := in[i]; {
		case (c == '"' || c == '\'') && quote == 0:
			quote = c
		case c == quote:
			quote = 0
		case c == '\\' && quote != '\'' && i+1 < len(in):
			i++
			if !strings.ContainsRune(`\'" ,()`, rune(in[i])) {
				arg.WriteByte(c)
			}
			arg.WriteByte(in[i])
		case c == ',' && quote == 0:
			args = append(args, arg.String())
			arg.Reset()
		case c == ')' && quote == 0:
			return append(args, arg.String()), in[i+1:], nil
		default:
			arg.WriteByte(c)
		}
	}
	return nil, "", fmt.Errorf("unfinished arguments %q", in)
}

// term is one part of a condition: an acl's name, or a criterion with flags and patterns.
type term struct {
	not   bool
	or    bool // it begins an alternative
	name  string
	words []string
}

// parseCondition reads what follows if or unless. HAProxy does not know which words were
// quoted: the first word "}" ends a criterion, and "or" and "||" stand for themselves.
func parseCondition(words []string) ([]term, error) {
	var terms []term
	t := term{}
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		if word == "or" || word == "||" {
			t.or = true
			continue
		}
		for strings.HasPrefix(word, "!") {
			t.not, word = !t.not, word[1:]
		}
		switch {
		case word == "":
			continue
		case word != "{":
			t.name = word
		default:
			end := slices.Index(words, "}")
			if end < 1 {
				return nil, fmt.Errorf("a criterion does not end in %q", words)
			}
			t.words, words = words[:end], words[end+1:]
		}
		terms = append(terms, t)
		t = term{}
	}
	if len(terms) == 0 || t.or || t.not {
		return nil, fmt.Errorf("a condition ends too early")
	}
	return terms, nil
}
