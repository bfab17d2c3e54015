"""Speech recognition: Whisper, words with times, transcripts of a manifest."""
