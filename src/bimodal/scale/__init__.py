"""Millions of recordings: planned once, cut into parts, recognised by many processes or machines, kept as Parquet."""
