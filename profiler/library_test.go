package profiler_test

import (
	"testing"

	"github.com/ukdbg/ukdbg/profiler"
)

func TestLibrary(t *testing.T) {
	for file, want := range map[string]string{
		"":                                  "",
		"/src/unikraft/lib/ukalloc/alloc.c": "ukalloc",
		"/src/.unikraft/unikraft/lib/posix-poll/epoll.c":                         "posix-poll",
		"/src/unikraft/plat/kvm/x86/lcpu_start.S":                                "plat/kvm",
		"/src/unikraft/arch/arm/arm64/ctx.c":                                     "arch/arm",
		"/src/unikraft/drivers/virtio/pci/virtio_pci.c":                          "drivers/virtio",
		"/src/app/.unikraft/build/libmusl/origin/musl-1.2.3/src/string/memcpy.c": "musl",
		"/src/app/build/libnginx/origin/nginx-1.15.6/src/core/nginx.c":           "nginx",
		"/src/libs/lib-lwip/sockets.c":                                           "lwip",
		"/src/libs/lwip/uknetdev.c":                                              "lwip",
		"lib/uksched/sched.c":                                                    "uksched",
		"kern/lib/x/y.c":                                                         "app",
		"/home/someone/shop/main.c":                                              "app",
		"main.c":                                                                 "app",
	} {
		if got := profiler.Library(file); got != want {
			t.Errorf("Library(%q) = %q, want %q", file, got, want)
		}
	}
}
