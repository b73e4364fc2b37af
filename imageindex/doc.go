// Package imageindex finds the image of a guest among many, by content.
//
//	ix := imageindex.New(imageindex.Options{Dirs: []string{"/srv/images"}})
//	stats, err := ix.Refresh(ctx)
//	m, err := ix.Find(ctx, imageindex.Guest{Kernel: "/srv/images/shop", Memory: mem})
//	if errors.Is(err, imageindex.ErrUnknown) {
//		log.Printf("image=unknown hash=%s", m.Hash)
//	}
package imageindex
