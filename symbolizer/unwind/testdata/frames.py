# Run inside gdb by live_test.go.
import gdb

MASK = (1 << 64) - 1


def save(path):
    """Writes the stack from the page of the stack pointer up to its guard page."""
    a = int(gdb.parse_and_eval("(unsigned long)$sp")) & ~4095
    out = b""
    try:
        while len(out) < 32768:
            out += bytes(gdb.selected_inferior().read_memory(a + len(out), 4096))
    except gdb.MemoryError:
        pass
    with open(path, "wb") as f:
        f.write(out)


def frames(registers):
    """Prints the frames but those of inlined calls; the third word tells those of functions that left by a jump."""
    f = gdb.newest_frame()
    while f:
        if f.type() != gdb.INLINE_FRAME:
            values = ["%x" % (int(f.read_register(r)) & MASK) for r in registers.split()]
            print("@frame %x" % f.pc(), int(f.type() == gdb.TAILCALL_FRAME), *values)
        f = f.older()
