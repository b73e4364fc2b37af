package main

import "github.com/ukdbg/ukdbg/hosts"

// guestJSON is one guest of this host: docs/json.md.
type guestJSON struct {
	Target       string    `json:"target"`
	Name         string    `json:"name,omitempty"`
	Kind         string    `json:"kind"`
	Manager      string    `json:"manager,omitempty"`
	PID          int       `json:"pid"`
	UID          uint32    `json:"uid"`
	UUID         string    `json:"uuid,omitempty"`
	Arch         string    `json:"arch,omitempty"`
	CPUs         int       `json:"cpus,omitempty"`
	Memory       uint64    `json:"memory,omitempty"`
	Accel        string    `json:"accel,omitempty"`
	State        string    `json:"state,omitempty"`
	StateFrom    string    `json:"state_from,omitempty"`
	Kernel       string    `json:"kernel,omitempty"`
	Confidential string    `json:"confidential,omitempty"`
	Ways         []wayJSON `json:"ways"`
	Notes        []string  `json:"notes,omitempty"`
	Unseen       []string  `json:"unseen,omitempty"`
}

// lsGuestJSON is a guest as ls lists it.
type lsGuestJSON struct {
	guestJSON
	Image imageJSON `json:"image"`
	Stops *int      `json:"stops"`
}

type wayJSON struct {
	Kind   string `json:"kind"`
	Target string `json:"target,omitempty"`
	Path   string `json:"path,omitempty"`
	Owner  string `json:"owner,omitempty"`
	Open   bool   `json:"open"`
	Note   string `json:"note,omitempty"`
}

type imageJSON struct {
	Path  string `json:"path,omitempty"`
	Hash  string `json:"hash,omitempty"`
	Match *bool  `json:"match"`
	Note  string `json:"note,omitempty"`
}

func lsJSON(list []listed) any {
	out := struct {
		Guests []lsGuestJSON `json:"guests"`
	}{[]lsGuestJSON{}}
	for i := range list {
		g := &list[i]
		out.Guests = append(out.Guests, lsGuestJSON{guestOf(&g.Guest), imageJSON{g.image.Path, g.image.Hash, g.image.Match, g.image.Why}, g.stops.n})
	}
	return out
}

func guestOf(g *hosts.Guest) guestJSON {
	out := guestJSON{
		Target: g.Target, Name: g.Name, Kind: string(g.Kind), Manager: string(g.Manager), PID: g.PID, UID: g.UID, UUID: g.UUID,
		Arch: g.Arch, CPUs: g.CPUs, Memory: g.MemoryMiB << 20, Accel: g.Accel, State: g.State, StateFrom: g.StateFrom,
		Kernel: g.Kernel, Confidential: g.Confidential, Ways: []wayJSON{}, Notes: g.Notes, Unseen: g.Unseen,
	}
	for _, w := range g.Ways {
		out.Ways = append(out.Ways, wayJSON{string(w.Kind), w.Spec, w.Path, string(w.Owner), w.Open, w.Note})
	}
	return out
}
