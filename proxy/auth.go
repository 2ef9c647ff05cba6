package proxy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"sluice/crdt/service"
)

// globalUsers identifies the proxy's own user list in the maps; no service is called so.
const globalUsers = "*"

// userList is who may enter: digests live in maps, crypt hashes in a userlist section.
type userList struct {
	id, realm string
	users     []service.User
}

// usersOf is the list that protects an entry, nil for none. A service's own list replaces
// the proxy's; a list that was asked for and cannot be found is empty: nobody enters.
func (p *part) usersOf(e *entry) *userList {
	s := e.svc
	if e.dst.IgnoreAuthorization {
		return nil
	}
	if len(s.Users) == 0 && s.UsersSecret == "" {
		if len(p.options.Users) == 0 {
			return nil
		}
		return globalList(p.options)
	}
	return &userList{id: s.Name, realm: s.Name + "Realm", users: p.ownUsers(s)}
}

// globalList is the proxy's own.
func globalList(o *Options) *userList {
	return &userList{id: globalUsers, realm: "defaultRealm", users: o.Users}
}

// ownUsers completes names without password from the service's secret, then from the
// proxy's own list. Without names the whole secret counts.
func (p *part) ownUsers(s *service.Service) []service.User {
	secret := p.secretUsers(s)
	if len(s.Users) == 0 {
		return secret
	}
	var list []service.User
	for _, u := range s.Users {
		if u.Digest == "" && u.Crypt == "" {
			same := func(o service.User) bool { return strings.EqualFold(o.Name, u.Name) }
			if i := slices.IndexFunc(secret, same); i >= 0 {
				u = secret[i]
			} else if i := slices.IndexFunc(p.options.Users, same); i >= 0 {
				u = p.options.Users[i]
			} else {
				p.note("service %s: user %s has no password in the definition, the secret or the proxy's own users; nobody enters by that name", s.Name, u.Name)
				continue
			}
		}
		list = append(list, u)
	}
	return list
}

func (p *part) secretUsers(s *service.Service) []service.User {
	if s.UsersSecret == "" {
		return nil
	}
	content, ok := p.secret("dfp_users_" + s.UsersSecret)
	if !ok {
		p.note("service %s: secret dfp_users_%s is missing here", s.Name, s.UsersSecret)
		return nil
	}
	var list []service.User
	split := func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }
	for _, item := range strings.FieldsFunc(content, split) {
		name, pass, found := strings.Cut(strings.TrimSpace(item), ":")
		switch {
		case name == "" || !found || unprintable(name+pass):
		case s.UsersPassEncrypted:
			list = append(list, service.User{Name: name, Crypt: pass})
		default:
			list = append(list, p.options.localUser(s.UsersSecret, name, pass))
		}
	}
	return list
}

// localUser makes the digest of a password that this replica has in the clear.
func (o *Options) localUser(context, name, pass string) service.User {
	key, err := base64.StdEncoding.DecodeString(o.AuthKey)
	if err != nil || len(key) == 0 {
		return service.User{Name: name}
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("salt|" + context + "|" + name))
	salt := hex.EncodeToString(mac.Sum(nil)[:16])
	mac.Reset()
	mac.Write([]byte(salt + "|Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+pass))))
	return service.User{Name: name, Salt: salt, Digest: hex.EncodeToString(mac.Sum(nil))}
}

// authenticate asks for a user. The credentials' digest is looked up, so that neither a
// password nor the key stands in the configuration.
func (p *part) authenticate(t *text, e *entry) {
	if list := p.usersOf(e); list != nil {
		p.lists[list.id] = list
		ask(t, list)
	}
}

// ask lets only the users of a list pass.
func ask(t *text, list *userList) {
	id := quote("str(" + list.id + "|)")
	t.line("http-request set-var(txn.key) str(key),map_str(" + keyFile + ")")
	t.line("http-request set-var(txn.user) http_auth_user,hex,lower")
	// Only the credentials count: the scheme's name may be in any case.
	t.line("http-request set-var(txn.cred)", quote("req.fhdr(authorization),word(2,' ')"))
	t.line("http-request set-var(txn.salt)", strings.TrimSuffix(id, "'")+",concat(,txn.user),map_str("+saltsFile+")'")
	t.line("http-request set-var(txn.digest)", quote("var(txn.salt),concat('|Basic ',txn.cred),hmac(sha256,txn.key),hex,lower"))
	t.line("http-request set-var(txn.pass)", strings.TrimSuffix(id, "'")+",concat(,txn.user),concat(|,txn.digest),map_str("+usersFile+")'")
	crypt := ""
	if list.hasCrypt() {
		crypt = "or { http_auth(" + quote(list.section()) + ") }"
	}
	t.line("http-request auth realm", quote(list.realm), "unless { var(txn.pass) -m found }", crypt)
	t.line("http-request del-header Authorization")
}

func (l *userList) section() string {
	if l.id == globalUsers {
		return "default:Users" // no service can be called so that its list has this name
	}
	return l.id + "Users"
}

func (l *userList) hasCrypt() bool {
	return slices.ContainsFunc(l.users, func(u service.User) bool { return u.Crypt != "" })
}

// userlists renders the crypt users of all lists.
func (s *shape) userlists(t *text) {
	for _, id := range sortedKeys(s.lists) {
		list := s.lists[id]
		if !list.hasCrypt() {
			continue
		}
		t.section("userlist", list.section())
		for _, u := range list.users {
			if u.Crypt != "" {
				t.line("user", quote(u.Name), "password", quote(u.Crypt))
			}
		}
	}
}

// credentials are the maps behind authenticate; none when nobody is asked for a user.
func (s *shape) credentials() map[string]map[string]string {
	if len(s.lists) == 0 {
		return nil
	}
	salts, digests := map[string]string{}, map[string]string{}
	for id, list := range s.lists {
		for _, u := range list.users {
			if u.Digest != "" {
				user := id + "|" + hex.EncodeToString([]byte(u.Name))
				salts[user] = u.Salt
				digests[user+"|"+strings.ToLower(u.Digest)] = "1"
			}
		}
	}
	return map[string]map[string]string{keyFile: {"key": s.options.AuthKey}, saltsFile: salts, usersFile: digests}
}
