// Package speedscope writes a profile as speedscope's own JSON: one sampled
// profile for each thread, with its stacks and what they weigh. The order of
// samples in time is not kept in a profile, so "time order" shows the heaviest
// stacks first.
//
//	err := speedscope.Write(w, p, "shop")
//
// Format: speedscope's file-format-schema.json.
package speedscope
