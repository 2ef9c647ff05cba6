package service

import "strings"

// cutWord takes the first word from text, without its quotes and escapes, as HAProxy's line
// parser does (configuration manual, section 2.2): nothing is special within single quotes;
// elsewhere a backslash makes a blank, a quote, a backslash, '#' and '$' ordinary. Escapes for
// control characters, comments and environment variables do not exist here: what would be one
// is text. rest is empty, or begins with the blank that ended the word; ok is false if a
// quote is not closed.
func cutWord(text string) (word, rest string, ok bool) {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote == 0 && c == ' ':
			return b.String(), text[i:], true
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && quote != '\'' && i+1 < len(text) && strings.IndexByte(` \'"#$`, text[i+1]) >= 0:
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", quote == 0
}
