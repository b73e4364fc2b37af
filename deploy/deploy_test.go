package deploy

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/ukdbg/ukdbg/agent/config"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// documented returns the capabilities of docs/security.md.
func documented(t *testing.T) []string {
	t.Helper()
	_, table, ok := strings.Cut(read(t, "../docs/security.md"), "<!-- capabilities -->")
	table, _, _ = strings.Cut(table, "\n\n")
	list := regexp.MustCompile(`(?m)^\| (CAP_[A-Z_]+) \|`).FindAllStringSubmatch(table, -1)
	if !ok || len(list) == 0 {
		t.Fatal("docs/security.md has no table of capabilities")
	}
	var out []string
	for _, m := range list {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return out
}

// unit returns the values of each key, in order.
func unit(t *testing.T, text string) map[string][]string {
	t.Helper()
	keys := map[string][]string{}
	for sc := bufio.NewScanner(strings.NewReader(text)); sc.Scan(); {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' || line[0] == '[' {
			continue
		}
		k, v, ok := strings.Cut(line, "=")
		if !ok {
			t.Fatalf("line %q", line)
		}
		keys[k] = append(keys[k], v)
	}
	return keys
}

// The unit is one systemd takes without a word, asks for the documented
// capabilities, and is as closed as it says.
func TestUnit(t *testing.T) {
	text := read(t, "ukdbg-agent.service")
	u := unit(t, text)
	for _, key := range []string{"AmbientCapabilities", "CapabilityBoundingSet"} {
		got := strings.Fields(strings.Join(u[key], " "))
		slices.Sort(got)
		if !slices.Equal(got, documented(t)) {
			t.Errorf("%s: %v; docs/security.md says %v", key, got, documented(t))
		}
	}
	for key, want := range map[string]string{
		"DynamicUser": "yes", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "UMask": "0077", "StateDirectoryMode": "0700", "CacheDirectoryMode": "0700",
	} {
		if got := strings.Join(u[key], " "); got != want {
			t.Errorf("%s=%s, want %s", key, got, want)
		}
	}
	if mode := strings.Join(u["KillMode"], ""); mode == "mixed" || mode == "process" {
		t.Errorf("KillMode=%s kills or leaves guards", mode)
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatalf("%v: 'make tools' installs it", err)
	}
	// The program is not installed here: another stands for it.
	file := filepath.Join(t.TempDir(), "ukdbg-agent.service")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "=/usr/bin/ukdbg", "=/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// In tenths of its points, where 100 is a service without any protection.
	const most = "30"
	if out, err := exec.Command(analyze, "security", "--offline=true", "--threshold="+most, file).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

// daemonSet is what of Kubernetes' apps/v1 DaemonSet is used; everything else is
// an error.
type daemonSet struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   meta   `yaml:"metadata"`
	Spec       struct {
		Selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		} `yaml:"selector"`
		UpdateStrategy struct {
			Type          string `yaml:"type"`
			RollingUpdate struct {
				MaxUnavailable int `yaml:"maxUnavailable"`
			} `yaml:"rollingUpdate"`
		} `yaml:"updateStrategy"`
		Template struct {
			Metadata meta `yaml:"metadata"`
			Spec     pod  `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

type meta struct {
	Name        string            `yaml:"name"`
	Namespace   string            `yaml:"namespace"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

type pod struct {
	HostPID      bool `yaml:"hostPID"`
	HostNetwork  bool `yaml:"hostNetwork"`
	HostIPC      bool `yaml:"hostIPC"`
	Token        bool `yaml:"automountServiceAccountToken"`
	ServiceLinks bool `yaml:"enableServiceLinks"`
	GraceSeconds int  `yaml:"terminationGracePeriodSeconds"`
	Tolerations  []map[string]string
	Containers   []container
	Volumes      []volume
}

type container struct {
	Name            string
	Image           string
	ImagePullPolicy string `yaml:"imagePullPolicy"`
	Args            []string
	Env             []struct{ Name, Value string }
	Ports           []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
		Protocol      string
	}
	ReadinessProbe  probe `yaml:"readinessProbe"`
	LivenessProbe   probe `yaml:"livenessProbe"`
	SecurityContext struct {
		RunAsUser    *int64 `yaml:"runAsUser"`
		RunAsGroup   *int64 `yaml:"runAsGroup"`
		Privileged   *bool  `yaml:"privileged"`
		Escalation   *bool  `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRoot *bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities struct{ Drop, Add []string }
		Seccomp      struct{ Type string } `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	Resources    struct{ Requests, Limits map[string]string }
	VolumeMounts []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
		ReadOnly  bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
}

type probe struct {
	HTTPGet          struct{ Path, Port, Scheme string } `yaml:"httpGet"`
	PeriodSeconds    int                                 `yaml:"periodSeconds"`
	FailureThreshold int                                 `yaml:"failureThreshold"`
}

type volume struct {
	Name      string
	ConfigMap *struct {
		Name        string
		DefaultMode int `yaml:"defaultMode"`
	} `yaml:"configMap"`
	Secret *struct {
		SecretName  string `yaml:"secretName"`
		DefaultMode int    `yaml:"defaultMode"`
	} `yaml:"secret"`
	HostPath *struct{ Path, Type string } `yaml:"hostPath"`
	EmptyDir *struct {
		SizeLimit string `yaml:"sizeLimit"`
	} `yaml:"emptyDir"`
}

// The DaemonSet has no key that is not one, the documented capabilities and no
// other power, and fits the configuration beside it.
func TestDaemonSet(t *testing.T) {
	var d daemonSet
	if err := yaml.UnmarshalWithOptions([]byte(read(t, "daemonset.yaml")), &d, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	p := d.Spec.Template.Spec
	if d.APIVersion != "apps/v1" || d.Kind != "DaemonSet" || len(p.Containers) != 1 {
		t.Fatalf("%+v", d)
	}
	for k, v := range d.Spec.Selector.MatchLabels {
		if d.Spec.Template.Metadata.Labels[k] != v {
			t.Errorf("the pods do not have the label %s", k)
		}
	}
	if !p.HostPID || p.HostNetwork || p.HostIPC || p.Token {
		t.Errorf("host namespaces or a token: %+v", p)
	}
	c := p.Containers[0]
	s := c.SecurityContext
	if s.Privileged == nil || *s.Privileged || s.Escalation == nil || *s.Escalation || s.ReadOnlyRoot == nil || !*s.ReadOnlyRoot ||
		s.Seccomp.Type != "RuntimeDefault" || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
		t.Errorf("%+v", s)
	}
	var caps []string
	for _, name := range s.Capabilities.Add {
		caps = append(caps, "CAP_"+name)
	}
	if slices.Sort(caps); !slices.Equal(caps, documented(t)) {
		t.Errorf("capabilities %v; docs/security.md says %v", caps, documented(t))
	}
	// Each volume is mounted, and of the host there is one folder.
	var mounts []string
	for _, m := range c.VolumeMounts {
		i := slices.IndexFunc(p.Volumes, func(v volume) bool { return v.Name == m.Name })
		if i < 0 {
			t.Fatalf("no volume %s", m.Name)
		}
		v := p.Volumes[i]
		if v.HostPath != nil && v.HostPath.Path != "/var/lib/ukdbg" {
			t.Errorf("mounts the host's %s", v.HostPath.Path)
		}
		if !m.ReadOnly && (v.ConfigMap != nil || v.Secret != nil) {
			t.Errorf("%s can be written", m.MountPath)
		}
		if v.Secret != nil && v.Secret.DefaultMode != 0o400 {
			t.Errorf("secrets have mode %o", v.Secret.DefaultMode)
		}
		mounts = append(mounts, m.MountPath+"/")
	}
	// Secrets are looked at when the configuration is read: those of a pod are made up.
	root := t.TempDir()
	const serving = "/etc/ukdbg-serving/"
	if err := os.MkdirAll(filepath.Join(root, serving), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tls.crt", "tls.key", "token"} {
		if err := os.WriteFile(filepath.Join(root, serving, name), []byte("0123456789abcdef\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(root, "agent.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(read(t, "agent.yaml"), serving, root+serving)), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	mounted := func(path string) {
		path = strings.TrimPrefix(path, root)
		if !slices.ContainsFunc(mounts, func(m string) bool { return strings.HasPrefix(path, m) }) {
			t.Errorf("%s is in no volume", path)
		}
	}
	for _, path := range append(cfg.Images.Dirs, cfg.Console.State, cfg.Limits.Spool, cfg.Listen.CertFile, cfg.Listen.KeyFile, cfg.Listen.BearerFile) {
		mounted(path)
	}
	if len(c.Args) < 3 || c.Args[0] != "agent" || c.Args[1] != "--config" || len(c.Ports) != 1 || !strings.HasSuffix(cfg.Listen.Address, ":9464") || c.Ports[0].ContainerPort != 9464 {
		t.Errorf("%v, %v, %s", c.Args, c.Ports, cfg.Listen.Address)
	}
	mounted(c.Args[2])
	for path, pr := range map[string]probe{"/readyz": c.ReadinessProbe, "/healthz": c.LivenessProbe} {
		if pr.HTTPGet.Path != path || pr.HTTPGet.Port != c.Ports[0].Name || pr.HTTPGet.Scheme != "HTTPS" {
			t.Errorf("%+v", pr)
		}
	}
	// A key that does not exist is found out.
	if err := yaml.UnmarshalWithOptions([]byte(strings.Replace(read(t, "daemonset.yaml"), "hostPID:", "hostPid:", 1)), &d, yaml.Strict()); err == nil {
		t.Error("a wrong key is taken")
	}
}

// The container file can only be built where there are containers, and here may be
// none: its instructions are read, what it copies is there, and the build it runs
// is run.
func TestContainerfile(t *testing.T) {
	var stages [][][]string // words of instructions
	for sc := bufio.NewScanner(strings.NewReader(read(t, "Containerfile"))); sc.Scan(); {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		words := strings.Fields(line)
		switch words[0] {
		case "FROM":
			stages = append(stages, nil)
		case "WORKDIR", "COPY", "RUN", "USER", "ENTRYPOINT", "CMD":
		default:
			t.Fatalf("instruction %q", line)
		}
		stages[len(stages)-1] = append(stages[len(stages)-1], words)
	}
	if len(stages) != 2 || stages[1][0][1] != "scratch" {
		t.Fatalf("%v", stages)
	}
	out := filepath.Join(t.TempDir(), "ukdbg")
	built := false
	for _, words := range stages[0] {
		switch {
		case words[0] == "COPY":
			for _, src := range words[1 : len(words)-1] {
				if _, err := os.Stat(filepath.Join("..", src)); err != nil {
					t.Error(err)
				}
			}
		case words[0] == "RUN" && slices.Contains(words, "build"):
			command := strings.ReplaceAll(strings.Join(words[1:], " "), "/out/ukdbg", out)
			cmd := exec.Command("sh", "-c", command)
			cmd.Dir = ".."
			if b, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", command, err, b)
			}
			built = true
		}
	}
	if !built {
		t.Fatal("nothing is built")
	}
	for _, words := range stages[1] {
		switch words[0] {
		case "USER":
			if strings.HasPrefix(words[1], "0") || strings.HasPrefix(words[1], "root") {
				t.Error(words)
			}
		case "ENTRYPOINT", "CMD":
			var list []string
			if err := json.Unmarshal([]byte(strings.Join(words[1:], " ")), &list); err != nil {
				t.Errorf("%v: %v", words, err)
			}
		}
	}
	// It runs alone, without a library of the system.
	if b, err := exec.Command(out, "version").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, b)
	}
	if b, _ := exec.Command("ldd", out).CombinedOutput(); !strings.Contains(string(b), "not a dynamic executable") {
		t.Errorf("it wants libraries: %s", b)
	}
}
