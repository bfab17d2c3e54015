"""Speakers of the demo corpus, and how each emotion changes a voice, as eSpeak NG voice files.

The directions of the rules are those of rule-based emotional synthesis: Burkhardt and Sendlmeier (2000, *Verification
of acoustical correlates of emotional speech using formant-synthesis*) and Murray and Arnott (1995, *Implementation and
testing of a system for producing emotion-by-rule in synthetic speech*), as surveyed by Schröder (2001, *Emotional
speech synthesis: a review*). Joy: higher, livelier, faster, lips spread. Fear: much higher, faster, trembling. Anger:
wider range, faster, harsh and bright. Sadness: narrow range, slower, with pauses, breathy and dull. The sizes are ours:
mostly smaller than published, and varied from utterance to utterance, so that the emotions overlap.
"""

import math
from dataclasses import dataclass

import numpy as np

_DEFAULT_RATE = 165.0  # words per minute
_QUALITY_NOISE = 0.4
_TONE = ((600, 170, -30), (1200, 135, 20), (2000, 110, 55), (3000, 110, 65))  # Hz, amplitude, change at brightness 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Voice:
    """A synthetic speaker.

    Attributes:
        name: The speaker's name in the manifest.
        split: The only split with this speaker.
        accent: eSpeak NG's file of a variety of English, below `lang/gmw`.
        pitch: Lowest fundamental frequency of neutral speech, in Hz.
        formants: Formant frequencies relative to eSpeak NG's adult male; a shorter vocal tract has higher ones.
        rate: Speaking rate relative to the other speakers.
        roughness: Neutral roughness, 0 to 7.
    """

    name: str
    split: str
    accent: str
    pitch: float
    formants: float
    rate: float
    roughness: float


VOICES = (
    Voice(name="ada", split="train", accent="en-US", pitch=152, formants=1.16, rate=1.0, roughness=1),
    Voice(name="ben", split="train", accent="en-US", pitch=84, formants=1.0, rate=0.96, roughness=2),
    Voice(name="cleo", split="train", accent="en-GB-x-rp", pitch=165, formants=1.12, rate=1.06, roughness=2),
    Voice(name="dan", split="train", accent="en-GB-scotland", pitch=98, formants=0.95, rate=1.04, roughness=3),
    Voice(name="eve", split="train", accent="en-029", pitch=140, formants=1.08, rate=0.94, roughness=3),
    Voice(name="finn", split="train", accent="en-GB-x-gbclan", pitch=112, formants=1.03, rate=1.08, roughness=1),
    Voice(name="gus", split="train", accent="en", pitch=76, formants=0.92, rate=1.0, roughness=2),
    Voice(name="hal", split="dev", accent="en-US-nyc", pitch=90, formants=0.98, rate=1.02, roughness=2),
    Voice(name="ivy", split="dev", accent="en", pitch=158, formants=1.14, rate=0.98, roughness=2),
    Voice(name="jo", split="test", accent="en-GB-x-gbcwmd", pitch=146, formants=1.10, rate=1.03, roughness=2),
    Voice(name="kit", split="test", accent="en-GB-x-rp", pitch=103, formants=1.05, rate=0.97, roughness=2),
    Voice(name="lou", split="test", accent="en-US", pitch=80, formants=0.94, rate=1.05, roughness=3),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """Effect of an emotion on a voice at full strength.

    Attributes:
        pitch: Factor of the fundamental frequency.
        pitch_range: Factor of its range.
        rate: Factor of the speaking rate.
        formants: Factor of the first two formants; spread lips raise them.
        word_gap: Pause between words, in steps of 10 ms.
        flutter: Added slow irregularity of the pitch (trembling).
        roughness: Added alternation between pitch periods.
        breath: Amplitude of breath noise.
        brightness: Added energy above 2 kHz against the bass, -1 to 1.
    """

    pitch: float = 1.0
    pitch_range: float = 1.0
    rate: float = 1.0
    formants: float = 1.0
    word_gap: float = 0.0
    flutter: float = 0.0
    roughness: float = 0.0
    breath: float = 0.0
    brightness: float = 0.0


RULES = {
    "anger": Rule(pitch=1.12, pitch_range=1.6, rate=1.2, roughness=3.5, brightness=1.0),
    "fear": Rule(pitch=1.45, pitch_range=1.0, rate=1.2, flutter=12.0, breath=6.0, brightness=-0.1),
    "happiness": Rule(pitch=1.3, pitch_range=1.9, rate=1.1, formants=1.06, brightness=0.3),
    "neutral": Rule(),
    "sadness": Rule(pitch=0.93, pitch_range=0.6, rate=0.85, word_gap=3.0, flutter=4.0, breath=12.0, brightness=-0.6),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeakingStyle:
    """How one utterance is spoken.

    Attributes:
        accent: eSpeak NG's file of a variety of English, below `lang/gmw`.
        rate: Words per minute.
        word_gap: Pause between words, in steps of 10 ms.
        variant: Text of an eSpeak NG voice variant: pitch, formants and voice quality.
    """

    accent: str
    rate: int
    word_gap: int
    variant: str


def draw_style(voice: Voice, emotion: str, rng: np.random.Generator) -> SpeakingStyle:
    """Draw one style: the emotion's rule at a random strength, each cue with its own variation.

    Example:
        >>> draw_style(VOICES[0], "sadness", np.random.default_rng(0)).rate < 165
        True
    """
    rule, strength = RULES[emotion], rng.uniform(0.4, 1.1)

    def factor(size: float, spread: float) -> float:
        return math.exp(strength * math.log(size) + spread * rng.standard_normal())

    def amount(size: float, spread: float) -> float:
        return strength * size + spread * _QUALITY_NOISE * rng.standard_normal()

    pitch = voice.pitch * factor(rule.pitch, 0.1)
    return SpeakingStyle(
        accent=voice.accent,
        rate=round(_DEFAULT_RATE * voice.rate * factor(rule.rate, 0.1)),
        word_gap=max(0, round(amount(rule.word_gap, 3.0))),
        variant=_variant(
            low=pitch,
            high=pitch * (1.0 + 0.45 * factor(rule.pitch_range, 0.25)),
            formants=(voice.formants * factor(rule.formants, 0.02), voice.formants),
            flutter=2.0 + amount(rule.flutter, 6.0),
            roughness=voice.roughness + amount(rule.roughness, 3.0),
            breath=amount(rule.breath, 10.0),
            brightness=amount(rule.brightness, 0.8),
        ),
    )


def _variant(
    *,
    low: float,
    high: float,
    formants: tuple[float, float],
    flutter: float,
    roughness: float,
    breath: float,
    brightness: float,
) -> str:
    """An eSpeak NG variant file: pitch in Hz, formants 1-2 and 3-8 relative, quality in eSpeak NG's own units."""
    bright, noise = float(np.clip(brightness, -1.2, 1.2)), max(0.0, breath)
    lines = [
        "language variant",
        f"pitch {low:.0f} {high:.0f}",
        f"flutter {np.clip(flutter, 0, 40):.0f}",
        f"roughness {np.clip(roughness, 0, 7):.0f}",
        "tone " + " ".join(f"{hertz} {base + slope * bright:.0f}" for hertz, base, slope in _TONE) + " -1",
        "breath 0 " + " ".join(f"{noise * share:.0f}" for share in (0.6, 1.0, 1.0, 0.8, 0.6, 0.4, 0.3)),
    ]
    lines += [f"formant {n} {100 * formants[n > 2]:.0f} 100 100" for n in range(1, 9)]
    return "\n".join(lines) + "\n"
