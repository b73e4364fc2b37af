// Package parquet writes spans and other records as an Apache Parquet file, so
// that DuckDB, ClickHouse or Spark can take traces that outgrow one machine.
//
//	err := parquet.Write(w, exporters.Trace{Spans: spans, Instants: instants, Clock: clock})
//
//	SELECT name, count(*), quantile_cont(duration_ns, 0.99) FROM 'shop.parquet' WHERE kind = 'span' GROUP BY name;
//
// The columns are those of exporters/csv, typed: times are 64-bit nanoseconds,
// time a timestamp where the host's clock is known, attributes JSON. What is not
// known is NULL.
//
// The file is written in one pass and bounded memory: row groups of at most 65,536 rows or 8 MiB,
// plain values in Zstandard pages. Nothing here needs a Parquet library: the
// common Go one adds 15 MB to ukdbg and half a millisecond to each of its starts.
//
// Specification: apache/parquet-format 2.10 (README, Encodings, LogicalTypes,
// parquet.thrift) and Thrift's compact protocol.
package parquet
