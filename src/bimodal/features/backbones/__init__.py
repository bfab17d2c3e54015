"""Pretrained encoders as backbones, one family per file. Building needs torch; recognition imports nothing from here."""
