"""Networks that fuse speech and text."""
