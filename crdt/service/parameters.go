package service

// Level says whether a parameter belongs to the service or to each destination.
type Level string

// Levels of a parameter.
const (
	ServiceLevel     Level = "service"
	DestinationLevel Level = "destination" // may carry an index: port.1, port.2 …
)

// Type is the shape of a parameter's text.
type Type string

// Types of a parameter.
const (
	Text     Type = "text"
	Bool     Type = "bool"
	Number   Type = "number"
	List     Type = "list"     // elements joined by the separator
	Headers  Type = "headers"  // list of "Name value [if …|unless …]"
	Matches  Type = "matches"  // list of "Name:value"
	Rewrites Type = "rewrites" // "search,replace[,flags]" joined by ":"
	Secret   Type = "secret"   // never shown again
)

// Parameter describes one parameter of a reconfigure request or label set.
type Parameter struct {
	Name  string
	Level Level
	Type  Type
	Help  string // one line
	// Old is a deprecated name that is still read when Name is absent; "" for none.
	Old string
	// Deprecated parameters work, but have a better successor.
	Deprecated bool
}

// Parameters lists every parameter that Parse reads, service level first.
func Parameters() []Parameter {
	var all []Parameter
	for _, f := range serviceFields() {
		all = append(all, f.Parameter)
	}
	all = append(all, otherParameters()...)
	for _, f := range destinationFields() {
		all = append(all, f.Parameter)
	}
	return all
}

// otherParameters are read one by one, since more than one field depends on them.
func otherParameters() []Parameter {
	one := func(name string, t Type, help string) Parameter {
		return Parameter{Name: name, Level: ServiceLevel, Type: t, Help: help}
	}
	old := func(name string, t Type, help string) Parameter {
		return Parameter{Name: name, Level: ServiceLevel, Type: t, Help: help, Deprecated: true}
	}
	return []Parameter{
		one("users", Secret, "who may enter: name:password, separated by commas or line breaks"),
		one("serviceCert", Secret, `certificate, chain and private key as PEM, line breaks may be written \n`),
		one("distribute", Bool, "wait until every replica serves the change"),
		old("reqPathSearch", Text, "use reqPathSearchReplace"),
		old("reqPathReplace", Text, "use reqPathSearchReplace"),
		old("serviceDomainMatchAll", Bool, "use serviceDomainAlgo=hdr_dom(host)"),
	}
}

// field binds a parameter to the place of its value and to the rule for its text.
type field struct {
	Parameter
	// service or dest returns a pointer: *string, *bool, *int, **int, *Mode, *[]string,
	// *[]Header, *[]Match or *[]Rewrite.
	service func(*Service) any
	dest    func(*Destination) any
	rule    rule // of a text, or of each element of a list; nil admits any printable text
	// low and high bound a number that is not zero.
	low, high int
}

// old gives f a deprecated name.
func (f field) old(name string) field {
	f.Parameter.Old = name
	return f
}

// within bounds f's number.
func (f field) within(low, high int) field {
	f.low, f.high = low, high
	return f
}

// must sets the rule of f's text.
func (f field) must(r rule) field {
	f.rule = r
	return f
}
