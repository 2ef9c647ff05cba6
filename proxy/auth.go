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
func (m *Model) usersOf(e *entry) *userList {
	s := e.svc
	if e.dst.IgnoreAuthorization {
		return nil
	}
	if len(s.Users) == 0 && s.UsersSecret == "" {
		if len(m.options.Users) == 0 {
			return nil
		}
		return &userList{id: globalUsers, realm: "defaultRealm", users: m.options.Users}
	}
	return &userList{id: s.Name, realm: s.Name + "Realm", users: m.ownUsers(s)}
}

// ownUsers completes names without password from the service's secret, then from the
// proxy's own list. Without names the whole secret counts.
func (m *Model) ownUsers(s *service.Service) []service.User {
	secret := m.secretUsers(s)
	if len(s.Users) == 0 {
		return secret
	}
	var list []service.User
	for _, u := range s.Users {
		if u.Digest == "" && u.Crypt == "" {
			same := func(o service.User) bool { return strings.EqualFold(o.Name, u.Name) }
			if i := slices.IndexFunc(secret, same); i >= 0 {
				u = secret[i]
			} else if i := slices.IndexFunc(m.options.Users, same); i >= 0 {
				u = m.options.Users[i]
			} else {
				m.note("service %s: user %s has no password in the definition, the secret or the proxy's own users; nobody enters by that name", s.Name, u.Name)
				continue
			}
		}
		list = append(list, u)
	}
	return list
}

func (m *Model) secretUsers(s *service.Service) []service.User {
	if s.UsersSecret == "" {
		return nil
	}
	content, ok := m.view.secret("dfp_users_" + s.UsersSecret)
	if !ok {
		m.note("service %s: secret dfp_users_%s is missing here", s.Name, s.UsersSecret)
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
			list = append(list, m.localUser(s.UsersSecret, name, pass))
		}
	}
	return list
}

// localUser makes the digest of a password that this replica has in the clear.
func (m *Model) localUser(context, name, pass string) service.User {
	key, err := base64.StdEncoding.DecodeString(m.options.AuthKey)
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
func (m *Model) authenticate(t *text, e *entry) {
	if list := m.usersOf(e); list != nil {
		m.ask(t, list)
	}
}

// ask lets only the users of a list pass.
func (m *Model) ask(t *text, list *userList) {
	m.lists[list.id] = list
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
		return "defaultUsers"
	}
	return l.id + "Users"
}

func (l *userList) hasCrypt() bool {
	return slices.ContainsFunc(l.users, func(u service.User) bool { return u.Crypt != "" })
}

// userlists renders the crypt users of all lists.
func (m *Model) userlists(t *text) {
	for _, id := range sortedKeys(m.lists) {
		list := m.lists[id]
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

// credentialFiles are the maps behind authenticate; nil when nobody is asked for a user.
func (m *Model) credentialFiles() []File {
	if len(m.lists) == 0 {
		return nil
	}
	var salts, digests strings.Builder
	for _, id := range sortedKeys(m.lists) {
		for _, u := range m.lists[id].users {
			if u.Digest == "" {
				continue
			}
			user := id + "|" + hex.EncodeToString([]byte(u.Name))
			salts.WriteString(user + " " + u.Salt + "\n")
			digests.WriteString(user + "|" + strings.ToLower(u.Digest) + " 1\n")
		}
	}
	return []File{
		{keyFile, []byte("key " + m.options.AuthKey + "\n"), secretMode},
		{saltsFile, []byte(salts.String()), secretMode},
		{usersFile, []byte(digests.String()), secretMode},
	}
}
