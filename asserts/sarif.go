package asserts

import (
	"encoding/json"
	"io"
	"net/url"
	"path"
	"strings"
)

// Named is a fault with what an image tells about it. Names may be nil, and
// Functions too: the report's own names are used then.
type Named struct {
	Fault     *Fault
	Names     Namer
	Functions []string
}

// SARIFOptions say where faults were read from.
type SARIFOptions struct {
	// Log is the path of the log, "" if the faults are of a machine or a stream.
	Log string
	// Version is ukdbg's.
	Version string
}

const (
	sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	sarifHome   = "https://github.com/ukdbg/ukdbg"
	// sarifFingerprint names the algorithm of the fingerprint: Fault.Fingerprint.
	sarifFingerprint = "ukdbgFault/v1"
)

// WriteSARIF writes faults as a log of SARIF 2.1.0 (OASIS, "Static Analysis
// Results Interchange Format"): one run, a rule per kind of fault, a result per
// fault. A result's location is the source line of the fault, or else the line
// of the log that tells of it; its stack has the frames, its partial fingerprint
// is Fault.Fingerprint, and its properties hold the fault as MarshalJSON writes
// it.
func WriteSARIF(w io.Writer, faults []Named, o SARIFOptions) error {
	run := sarifRun{Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "ukdbg", Version: o.Version, InformationURI: sarifHome, Rules: []sarifRule{}}
	rules := map[Kind]int{}
	for _, n := range faults {
		r := n.sarif(o)
		at, ok := rules[n.Fault.Kind]
		if !ok {
			at = len(run.Tool.Driver.Rules)
			rules[n.Fault.Kind] = at
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
				ID: string(n.Fault.Kind), ShortDescription: sarifText{"A guest ended, or was told, by way of: " + string(n.Fault.Kind)},
			})
		}
		r.RuleIndex = at
		run.Results = append(run.Results, r)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(sarifLog{Schema: sarifSchema, Version: "2.1.0", Runs: []sarifRun{run}})
}

func (n Named) sarif(o SARIFOptions) sarifResult {
	f := n.Fault
	r := sarifResult{RuleID: string(f.Kind), Level: "error", Message: sarifText{n.message()}}
	if f.Kind == Warning {
		r.Level = "warning"
	}
	r.Fingerprints = map[string]string{sarifFingerprint: f.Fingerprint(n.Functions)}
	r.Properties = map[string]any{"fault": f}
	frames := n.frames()
	if len(frames) > 0 {
		r.Stacks = []sarifStack{{Frames: frames}}
	}
	told := sarifLocation{Message: &sarifText{"the report in the log"}}
	if o.Log != "" && f.Source.FirstLine > 0 {
		told.Physical = &sarifPhysical{
			Artifact: &sarifArtifact{URI: fileURI(o.Log)},
			Region:   &sarifRegion{StartLine: f.Source.FirstLine, EndLine: f.Source.LastLine},
		}
	}
	switch place := n.place(); {
	case place != nil:
		r.Locations = []sarifLocation{*place}
		if told.Physical != nil {
			r.Related = []sarifLocation{told}
		}
	case told.Physical != nil:
		r.Locations = []sarifLocation{told}
	}
	return r
}

// message is the kind and the reason, made safe to show.
func (n Named) message() string {
	f := n.Fault
	text := string(f.Kind)
	if f.Subkind != "" {
		text += " (" + f.Subkind + ")"
	}
	lines := strings.Split(f.Reason, "\n")
	for i := range lines {
		lines[i] = Escape(lines[i])
	}
	return Escape(text) + ": " + strings.Join(lines, "\n")
}

// place is the source line of the fault, nil if none is known.
func (n Named) place() *sarifLocation {
	if l := n.Fault.Location; l.File != "" {
		at := sarifAt(l)
		// The report may name the file alone, the image its path.
		for _, fr := range n.first() {
			if path.Base(fr.File) == path.Base(l.File) {
				at = sarifAt(Location{File: fr.File, Line: l.Line, Column: l.Column})
			}
		}
		return &at
	}
	for _, fr := range n.first() {
		if fr.File != "" {
			at := sarifAt(Location{File: fr.File, Line: fr.Line})
			at.Logical = []sarifLogical{{Name: fr.Function, Kind: "function"}}
			return &at
		}
	}
	return nil
}

// first are the frames at the first address.
func (n Named) first() []Frame {
	if len(n.Fault.Backtrace) == 0 {
		return nil
	}
	return namesOf(n.Names, n.Fault.Backtrace[0])
}

// frames are those of the backtrace, inlined calls included.
func (n Named) frames() []sarifFrame {
	var out []sarifFrame
	for _, c := range n.Fault.Backtrace {
		address := Value(c.Addr).hex()
		if !c.Printed() {
			address = ""
		}
		names := namesOf(n.Names, c)
		if len(names) == 0 {
			out = append(out, sarifFrame{sarifLocation{Logical: []sarifLogical{{FullName: address, Kind: "function"}}}})
		}
		for _, fr := range names {
			var at sarifLocation
			if fr.File != "" {
				at = sarifAt(Location{File: fr.File, Line: fr.Line})
			}
			at.Logical = []sarifLogical{{Name: fr.Function, FullName: address, Kind: "function"}}
			out = append(out, sarifFrame{at})
		}
	}
	return out
}

func sarifAt(l Location) sarifLocation {
	p := &sarifPhysical{Artifact: &sarifArtifact{URI: fileURI(l.File)}}
	if l.Line > 0 {
		p.Region = &sarifRegion{StartLine: int64(l.Line), StartColumn: l.Column}
	}
	return sarifLocation{Physical: p}
}

// fileURI makes a URI reference of a path: relative paths stay relative.
func fileURI(file string) string {
	file = strings.ToValidUTF8(file, "\uFFFD")
	if strings.HasPrefix(file, "/") {
		return (&url.URL{Scheme: "file", Path: file}).String()
	}
	return strings.TrimPrefix((&url.URL{Path: "./" + file}).String(), "./")
}

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool struct {
		Driver sarifDriver `json:"driver"`
	} `json:"tool"`
	Results []sarifResult `json:"results"`
}

type sarifDriver struct {
	Name           string      `json:"name"`
	Version        string      `json:"version,omitempty"`
	InformationURI string      `json:"informationUri"`
	Rules          []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID               string    `json:"id"`
	ShortDescription sarifText `json:"shortDescription"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifResult struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Level        string            `json:"level"`
	Message      sarifText         `json:"message"`
	Locations    []sarifLocation   `json:"locations,omitempty"`
	Related      []sarifLocation   `json:"relatedLocations,omitempty"`
	Stacks       []sarifStack      `json:"stacks,omitempty"`
	Fingerprints map[string]string `json:"partialFingerprints"`
	Properties   map[string]any    `json:"properties"`
}

type sarifStack struct {
	Frames []sarifFrame `json:"frames"`
}

type sarifFrame struct {
	Location sarifLocation `json:"location"`
}

type sarifLocation struct {
	Physical *sarifPhysical `json:"physicalLocation,omitempty"`
	Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	Message  *sarifText     `json:"message,omitempty"`
}

type sarifPhysical struct {
	Artifact *sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion   `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	StartLine   int64 `json:"startLine"`
	StartColumn int   `json:"startColumn,omitempty"`
	EndLine     int64 `json:"endLine,omitempty"`
}

// sarifLogical is a function; its address, where printed, stands for the full
// name.
type sarifLogical struct {
	Name     string `json:"name,omitempty"`
	FullName string `json:"fullyQualifiedName,omitempty"`
	Kind     string `json:"kind"`
}
