"""What the networks see: log-mel spectrograms, frozen backbones, and the cache of their outputs."""
