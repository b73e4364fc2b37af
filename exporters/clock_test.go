package exporters

import "testing"

func TestClock(t *testing.T) {
	c, err := NewClock(Segment{From: 100, Offset: 1000, Uncertainty: 5}, Segment{From: 200, Offset: 5000, Uncertainty: 9})
	if err != nil {
		t.Fatal(err)
	}
	for guest, want := range map[int64][2]int64{
		50: {1050, 5}, 100: {1100, 5}, 199: {1199, 5}, 200: {5200, 9}, 1 << 40: {1<<40 + 5000, 9},
	} {
		if unix, u := c.Unix(guest); unix != want[0] || u != want[1] {
			t.Errorf("guest time %d is %d ± %d, want %v", guest, unix, u, want)
		}
	}
	if unix, u := (Clock{}).Unix(7); unix != 7 || u != 0 || !(Clock{}).IsZero() || c.IsZero() {
		t.Errorf("zero clock maps 7 to %d ± %d", unix, u)
	}
	if c.Boot() != 1000 {
		t.Errorf("boot at %d", c.Boot())
	}
}

func TestBadClocks(t *testing.T) {
	for _, segs := range [][]Segment{
		{{From: 5}, {From: 5}}, {{From: 6}, {From: 5}}, {{Uncertainty: -1}},
	} {
		if _, err := NewClock(segs...); err == nil {
			t.Errorf("%+v was accepted", segs)
		}
	}
}
