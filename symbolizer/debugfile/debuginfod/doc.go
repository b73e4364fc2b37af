// Package debuginfod gets debug files by build id from debuginfod servers.
//
// Nothing is asked unless a Client is made: the command line wants a flag for it,
// because a request tells a server what one is debugging.
//
//	c, err := debuginfod.FromEnv(os.Getenv)
//	path, err := c.Debuginfo(ctx, "8c1f…")
//
// Files are kept in a folder laid out as that of elfutils' client,
// BUILDID/debuginfo, which may be deleted at any time and which several processes
// may use at once. Downloads are bounded in size, time and silence. Whether a
// file is the one that was asked for is for the caller to check.
//
// Specification: elfutils, debuginfod(8) "WEBAPI" and debuginfod-client-config(7).
package debuginfod
