package gdbstub

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ours and theirs write a document's tokens in words, to be compared.
func ours(doc []byte) (all []string, err error) {
	s := xmlScanner{rest: string(doc)}
	for {
		t, err := s.next()
		if t == nil || err != nil {
			return all, err
		}
		switch t.kind {
		case xmlStart:
			text := "start " + t.name
			for _, a := range t.attrs {
				text += fmt.Sprintf(" %s=%q", a.name, a.value)
			}
			all = append(all, text)
		case xmlEnd:
			all = append(all, "end "+t.name)
		case xmlText:
			all = append(all, fmt.Sprintf("text %q", t.text))
		}
	}
}

func theirs(doc []byte) (all []string, err error) {
	dec := xml.NewDecoder(bytes.NewReader(doc))
	dec.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	for {
		tok, err := dec.RawToken()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		switch t := tok.(type) {
		case xml.StartElement:
			text := "start " + t.Name.Local
			for _, a := range t.Attr {
				text += fmt.Sprintf(" %s=%q", a.Name.Local, a.Value)
			}
			all = append(all, text)
		case xml.EndElement:
			all = append(all, "end "+t.Name.Local)
		case xml.CharData:
			all = append(all, fmt.Sprintf("text %q", t))
		}
	}
}

func TestXMLAsTheStandardLibrary(t *testing.T) {
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		doc, err := os.ReadFile(f)
		must(t, err)
		compareXML(t, doc)
	}
	for _, doc := range []string{
		`<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target><architecture> i386:x86-64 </architecture><xi:include href="a&amp;b.xml"/></target>`,
		`<!DOCTYPE x [<!ELEMENT y (z)> <!-- > " --> <!ATTLIST y a CDATA ">">]><x a='"' b = "'"><!-- - --><![CDATA[<&]]></x>`,
		"<!DOCTYPE x [<!--> \" -->]>", "<a\n b='&#65;&#x42;&lt;&gt;&quot;&apos;'\t/>", "<a></a ><b / >", "<b:c d:e='1'/>", "text &lt; more",
	} {
		compareXML(t, []byte(doc))
	}
	for _, bad := range []string{"<", "<a", "<a b", "<a b=", "<a b='", "<a b=1>", "<a 'b'>", "</a b='c'>", "</>", "<a>&nope;", "<a>&#0;", "<a b='<'/>", "<!--", "<!-- -- -->", "<?", "<![CDATA[", "<!x '", "<!X '", "<!>", "<!'>'>", "<!X <!-->>", "<a b='&'/>", "]]>", "<a:b:c/>"} {
		if got, err := ours([]byte(bad)); err == nil {
			t.Errorf("%q was read as %q", bad, got)
		}
	}
}

func compareXML(t *testing.T, doc []byte) {
	t.Helper()
	want, werr := theirs(doc)
	got, err := ours(doc)
	if werr != nil {
		return // some is read here that the standard library refuses: odd names and bytes
	}
	if err != nil {
		// A little is refused here that it reads.
		if strings.ContainsRune(string(doc), '\r') || bytes.Contains(doc, []byte("<!")) || bytes.Contains(doc, []byte("<?")) || bytes.Count(doc, []byte("=")) > maxXMLAttrs {
			return
		}
		t.Fatalf("%q: %v, encoding/xml reads %q", doc, err, want)
	}
	if bytes.ContainsRune(doc, '\r') {
		return // line ends are left as they are
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%q:\n got %q\nwant %q", doc, got, want)
	}
}

// FuzzXML: what encoding/xml reads is read, and as the same.
func FuzzXML(f *testing.F) {
	f.Add([]byte(`<?xml version="1.0"?><!DOCTYPE t SYSTEM "x"><t><a>b</a><xi:include href="c&amp;d"/></t>`))
	f.Add([]byte("<a b='1' c = \"2\"><!-- x --><![CDATA[<]]></a>"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		if len(doc) > 1<<16 {
			return
		}
		compareXML(t, doc)
	})
}
