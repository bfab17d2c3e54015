"""Who speaks when in a recording of one channel: stretches of one speaker, and whose they are. Imports no torch."""
