package otlpprofiles_test

import (
	"testing"

	"go.opentelemetry.io/collector/pdata/pprofile"
	"go.opentelemetry.io/collector/pdata/pprofile/pprofileotlp"

	"github.com/ukdbg/ukdbg/exporters/otlp"
	"github.com/ukdbg/ukdbg/exporters/otlpprofiles"
	"github.com/ukdbg/ukdbg/internal/exporttest"
)

// The collector's own library reads the profiles back, as a file and as a request.
func TestReadBack(t *testing.T) {
	p := exporttest.Profile()
	data := otlpprofiles.Encode(p, otlpprofiles.Options{Resource: otlp.Resource{ServiceName: "shop", InstanceID: "i-1"}, Version: "1"})
	got, err := (&pprofile.ProtoUnmarshaler{}).UnmarshalProfiles(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := pprofileotlp.NewExportRequest().UnmarshalProto(data); err != nil {
		t.Fatal(err)
	}
	rp := got.ResourceProfiles().At(0)
	if v, _ := rp.Resource().Attributes().Get("service.name"); v.Str() != "shop" {
		t.Errorf("service %q", v.Str())
	}
	d := got.Dictionary()
	str := func(i int32) string { return d.StringTable().At(int(i)) }
	if str(0) != "" || d.StackTable().At(0).LocationIndices().Len() != 0 || d.MappingTable().At(0).MemoryLimit() != 0 {
		t.Error("a table's first entry is not its zero value")
	}
	profiles := rp.ScopeProfiles().At(0).Profiles()
	if profiles.Len() != 2 {
		t.Fatalf("%d profiles", profiles.Len())
	}
	sums := []int64{100, 1e9}
	types := []string{"samples/count", "cpu/nanoseconds"}
	for i := range profiles.Len() {
		pr := profiles.At(i)
		if name := str(pr.SampleType().TypeStrindex()) + "/" + str(pr.SampleType().UnitStrindex()); name != types[i] {
			t.Errorf("profile %d counts %s", i, name)
		}
		if pr.Period() != 10e6 || pr.Time().AsTime().Unix() != 1_700_000_000 || pr.DurationNano() != 1e9 || pr.ProfileID().IsEmpty() {
			t.Errorf("profile %d: every %d, from %v for %d", i, pr.Period(), pr.Time(), pr.DurationNano())
		}
		var sum int64
		for j := range pr.Samples().Len() {
			sum += pr.Samples().At(j).Values().At(0)
		}
		if sum != sums[i] {
			t.Errorf("profile %d: %d in all, want %d", i, sum, sums[i])
		}
	}
	first := profiles.At(1).Samples().At(0)
	var names []string
	stack := d.StackTable().At(int(first.StackIndex())).LocationIndices()
	for i := range stack.Len() {
		loc := d.LocationTable().At(int(stack.At(i)))
		for j := range loc.Lines().Len() {
			fn := d.FunctionTable().At(int(loc.Lines().At(j).FunctionIndex()))
			names = append(names, str(fn.NameStrindex()))
		}
		if m := d.MappingTable().At(int(loc.MappingIndex())); m.MemoryStart() > loc.Address() || m.MemoryLimit() <= loc.Address() {
			t.Errorf("location %#x in a mapping from %#x", loc.Address(), m.MemoryStart())
		}
	}
	if want := []string{"memcpy_fast", "serve", "ns::worker<int>", "entry (guessed)"}; len(names) != 4 || names[0] != want[0] || names[3] != want[3] {
		t.Errorf("stack %q", names)
	}
	attrs := map[string]string{}
	for i := range first.AttributeIndices().Len() {
		a := d.AttributeTable().At(int(first.AttributeIndices().At(i)))
		attrs[str(a.KeyStrindex())] = a.Value().AsString()
	}
	if attrs["thread.name"] != "worker-1" || attrs["thread.id"] != "3" || attrs["ukdbg.library"] != "nolibc" || attrs["ukdbg.thread.state"] != "running" {
		t.Errorf("attributes %v", attrs)
	}
}
