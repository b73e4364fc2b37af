// Package pickle reads the files that upstream's "uk trace save" and "trace.py
// fetch" write: Python pickles of a trace buffer with its definitions.
//
// A file is a sequence of pickles, one object each: the key-values (a dict), the
// path of the ELF file (a text), the size of a pointer in bytes (an integer),
// the bytes of section .uk_tracepoints_list and those of the buffer up to the
// write pointer. Some releases leave out the path and write four objects.
//
// Unpickling in general runs whatever the file says. Here nothing is run: only
// the opcodes that make dicts, texts, integers and bytes are known, of protocols
// 0 to 5, with bounds on everything; any other opcode is an error. The one name
// that is taken, and not called, is _codecs.encode, by which protocols 0 to 2
// write bytes as a latin-1 text.
//
//	save, err := pickle.Read(file)
//	defs, err := tracebuf.ParseDefinitions(save.Definitions)
//
// Format: CPython Lib/pickletools.py.
package pickle
