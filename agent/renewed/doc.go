// Package renewed keeps what was made of files, such as certificates and tokens, and
// makes it anew when they change: who renews them need not restart the program.
//
//	v, err := renewed.Read(load, "/etc/tls.crt", "/etc/tls.key")
//	cert, err := v.Get() // for each use: it costs a stat(2) of each file
//	news := v.News()     // a line for an operator, "" for none
//
// What was read last stays in force while its successor cannot be read: a pair of
// files is renewed one after the other, and a mistake is no reason to stop.
package renewed
