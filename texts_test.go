package ukdbg

import "testing"

func TestTextKinds(t *testing.T) {
	for text, want := range map[string]string{
		"/etc/nginx/nginx.conf": "path", "https://example.org/x": "URL", "someone@example.org": "mail address", "from 10.0.2.15 port": "IP address",
		"dGhpcyBpcyBhIHNlY3JldCBrZXk5": "token or key", "-----BEGIN PRIVATE KEY-----": "secret by its words", "DB_PASSWORD=x": "secret by its words",
		"a plain sentence": "text", "version 1.2.3": "text", "user @ home": "text",
	} {
		if got := textKind(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	var k textKinds
	k.scan([]byte("\x00short\x00long enough\x01/a/path/here\xffend of it"))
	if k.count["text"] != 2 || k.count["path"] != 1 || len(k.count) != 2 {
		t.Errorf("%v", k.count)
	}
}
