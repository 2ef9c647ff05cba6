package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"sluice/crdt"
)

// kept is the value of the member "secret" where an answer left a secret out, and where a
// PUT asks to keep the stored one: what GET answers can be edited and sent back.
const kept = "kept"

// redact leaves out every secret of a definition, sealed, digested or hashed. A document
// that is no JSON object is not shown at all.
func redact(value []byte) json.RawMessage {
	doc, err := object(value)
	if err != nil {
		return json.RawMessage(`{}`)
	}
	if users, ok := doc["users"].([]any); ok {
		for i, u := range users {
			users[i] = redactUser(u)
		}
	}
	if cert, ok := doc["serviceCert"]; ok {
		shown := map[string]any{"secret": kept}
		if sealed, ok := cert.(map[string]any); ok {
			shown["fingerprint"] = sealed["fingerprint"]
		}
		doc["serviceCert"] = shown
	}
	out, err := marshal(doc)
	if err != nil {
		return json.RawMessage(`{}`)
	}
	return out
}

func redactUser(u any) any {
	user, _ := u.(map[string]any)
	shown := map[string]any{"name": user["name"]}
	for member := range user {
		if member != "name" {
			shown["secret"] = kept
		}
	}
	return shown
}

// keepSecrets puts the stored secrets where a body says "secret": "kept".
func keepSecrets(body []byte, current crdt.Entry) ([]byte, error) {
	if !bytes.Contains(body, []byte(kept)) {
		return body, nil
	}
	doc, err := object(body)
	if err != nil {
		return body, nil // Decode tells what is wrong with it
	}
	stored := map[string]any{}
	if current.Live() {
		if stored, err = object(current.Value); err != nil {
			return nil, fmt.Errorf("read %s: %w", current.Key, err)
		}
	}
	if users, ok := doc["users"].([]any); ok {
		if err := keepUsers(users, stored["users"]); err != nil {
			return nil, err
		}
	}
	if isKept(doc["serviceCert"]) {
		if stored["serviceCert"] == nil {
			return nil, nothingKept("serviceCert")
		}
		doc["serviceCert"] = stored["serviceCert"]
	}
	return marshal(doc)
}

func keepUsers(users []any, stored any) error {
	byName := map[any]any{}
	if list, ok := stored.([]any); ok {
		for _, u := range list {
			if user, ok := u.(map[string]any); ok {
				byName[user["name"]] = user
			}
		}
	}
	for i, u := range users {
		if !isKept(u) {
			continue
		}
		name, _ := u.(map[string]any)["name"].(string)
		found, ok := byName[name]
		if !ok {
			return nothingKept("users")
		}
		users[i] = found
	}
	return nil
}

func isKept(v any) bool {
	member, ok := v.(map[string]any)
	return ok && member["secret"] == kept
}

func nothingKept(param string) error {
	return badParam(param, "asks to keep a secret that is not stored", "send the secret itself")
}

// object decodes a JSON object and keeps its numbers as they are.
func object(data []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var doc map[string]any
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("read definition: %w", err)
	}
	if doc == nil {
		return nil, fmt.Errorf("read definition: want a JSON object")
	}
	return doc, nil
}

func marshal(doc map[string]any) (json.RawMessage, error) {
	var b strings.Builder
	if err := encode(&b, doc); err != nil {
		return nil, err
	}
	return json.RawMessage(strings.TrimSpace(b.String())), nil
}
