"""One module per corpus: `prepare(source)` reads the original files and gives utterances."""
