package corefile

// UnpackLZO is unpackLZO for tests.
var UnpackLZO = unpackLZO
