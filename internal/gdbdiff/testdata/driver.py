# Runs inside gdb. Reads one JSON request a line from descriptor 3 and answers on descriptor 4, so that gdb's own
# messages on stdout do no harm.
#
#   {"run": ["print x", ...]}  the text each command printed, or its error
#   {"frames": true}           the stack of the selected thread, innermost first
import gdb, json, os


def run(command):
    try:
        return gdb.execute(command, False, True)
    except (gdb.error, gdb.MemoryError, RuntimeError) as e:
        return str(e)


def frames():
    out, f = [], gdb.newest_frame()
    while f is not None:
        sal = f.find_sal()
        one = {
            "pc": f.pc(),
            "sp": int(f.read_register("sp")) & 0xFFFFFFFFFFFFFFFF,
            "name": f.name() or "",
            "inline": f.type() == gdb.INLINE_FRAME,
            "tailcall": f.type() == gdb.TAILCALL_FRAME,
            "file": sal.symtab.fullname() if sal.symtab else "",
            "line": sal.line if sal.symtab else 0,
        }
        out.append(one)
        try:
            f = f.older()
        except (gdb.error, gdb.MemoryError) as e:
            one["stop"] = str(e)
            break
        if f is None:
            last = gdb.newest_frame()
            while last.older() is not None:
                last = last.older()
            reason = last.unwind_stop_reason()
            one["stop"] = gdb.frame_stop_reason_string(reason) if reason else ""
    return out


with os.fdopen(3) as requests, os.fdopen(4, "w") as answers:
    for line in requests:
        request = json.loads(line)
        if "run" in request:
            answer = {"texts": [run(c) for c in request["run"]]}
        else:
            try:
                answer = {"frames": frames()}
            except (gdb.error, gdb.MemoryError) as e:
                answer = {"error": str(e)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
