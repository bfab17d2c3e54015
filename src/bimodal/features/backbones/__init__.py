"""Pretrained encoders as backbones, one family per file. Building needs torch; recognition imports none of it."""
