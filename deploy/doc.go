// Package deploy holds what runs the agent as a service (a systemd unit, a
// container file, a Kubernetes DaemonSet), and the tests that these are valid and
// ask for no more than docs/security.md says.
package deploy
