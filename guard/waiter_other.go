//go:build !(linux && amd64)

package guard

// waiterPath is "": the guard starts at once.
func waiterPath() string { return "" }
