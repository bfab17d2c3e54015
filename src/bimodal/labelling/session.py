"""A labelling session: which clip a rater gets next, what is stored, and the head that learns in the background."""

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition, Lock, Thread
from typing import Any, Final

import numpy as np

from bimodal.asr.whisper import Transcriber
from bimodal.audio.decode import load_signal
from bimodal.errors import AudioError, BimodalError, LabellingError
from bimodal.inference.model import Model
from bimodal.labelling.agreement import Agreement, measure_agreement
from bimodal.labelling.curve import FEWEST_TESTS
from bimodal.labelling.features import ClipFeatures
from bimodal.labelling.learner import EVERY, REFIT_EVERY, Inputs, Learned, learn, votes_of
from bimodal.labelling.order import CHOSEN, STRATEGIES
from bimodal.labelling.records import Label, LabelClip, check_rater
from bimodal.labelling.space import Space, fit_space, head_inputs
from bimodal.labelling.store import Store

log = logging.getLogger(__name__)

TEST_EVERY: Final = 5
"""One clip in so many is a test clip, at a random place, until all are labelled."""

QUEUE: Final = 3 * EVERY
"""Clips that are picked ahead."""

FEWEST_CLIPS: Final = 10
"""Clips with speech from which the head starts to work."""

HELD_SECONDS: Final = 900.0
"""For so long a clip that one rater was shown is not shown to another."""

_AGREEMENT_EVERY: Final = 5
_GROWN: Final = 1.2
_NAP: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """How a folder is labelled.

    Attributes:
        votes: Raters wanted for each training clip; test clips are shown to every rater.
        show_guess: Show the head's guess, which pulls raters towards it.
        strategy: A key of `STRATEGIES`.
        seed: Of everything random.
    """

    votes: int = 1
    show_guess: bool = False
    strategy: str = CHOSEN
    seed: int = 0


@dataclass(kw_only=True)
class _State:
    """What the background work and the requests share; under the session's lock."""

    learned: Learned | None = None
    inputs: Inputs | None = None
    ranked: Sequence[str] = ()
    fitted_labels: int = -1
    fitting: bool = False
    problem: str = ""
    agreement: tuple[int, Agreement] | None = None
    held: dict[str, tuple[str, float]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)


class Session:
    """One folder that several raters label at the same time; safe for several threads.

    Args:
        recordings: Folder that paths of clips are relative to.
        store: Its labels.
        model: The packaged model, or one of your own.
        options: How it is labelled.
        transcriber: Speech recogniser that finds the words in the background; None for none.
    """

    def __init__(
        self,
        recordings: Path,
        store: Store,
        model: Model,
        options: SessionOptions | None = None,
        transcriber: Transcriber | None = None,
    ) -> None:
        self.recordings, self.store, self.model = recordings, store, model
        self.options = options or SessionOptions()
        self.features = ClipFeatures(store.folder, recordings, model)
        self._transcriber = transcriber
        self._state, self._lock = _State(), Lock()
        self._wake = Condition()
        self._stopping = False
        self._threads: list[Thread] = []
        self._shuffled = {name: number for number, name in enumerate(self._draw([clip.id for clip in store.clips]))}

    def start(self) -> None:
        """Start the work in the background: features first, then the head after every `REFIT_EVERY` labels."""
        tasks = {"features": self._extract, "head": self._fit_on}
        if self._transcriber is not None:
            tasks["words"] = self._transcribe
        self._threads = [Thread(target=work, name=name, daemon=True) for name, work in tasks.items()]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the work in the background; labels are on the disk already."""
        self._stopping = True
        with self._wake:
            self._wake.notify_all()
        for thread in self._threads:
            thread.join(30)

    def next_clips(self, rater: str, count: int = 2, skip: Sequence[str] = ()) -> list[LabelClip]:
        """The clips that a rater gets next; the second is there to be loaded ahead.

        Args:
            rater: Their name.
            count: At most so many.
            skip: Clips that they have on the screen, whose labels may be on their way.

        Raises:
            LabellingError: The name is not allowed.
        """
        rater = check_rater(rater)
        labels = self.store.labels()
        done = {*labels.get(rater, {}), *skip}
        train, test = self._open_clips(rater, labels, done)
        found: list[LabelClip] = []
        position = len(done)
        while len(found) < count and (train or test):
            source = test if test and (not train or self._is_test_place(rater, position)) else train
            clip = self.store.clip(source.pop(0))
            if not self.is_there(clip):
                continue
            found.append(clip)
            position += 1
        with self._lock:
            now = time.monotonic()
            self._state.held |= {clip.id: (rater, now) for clip in found if clip.part == "train"}
        return found

    def label(self, rater: str, label: Label) -> Label:
        """Store a label; it is on the disk when this returns.

        Raises:
            LabellingError: As `Store.add`.
        """
        kept = self.store.add(rater, label)
        with self._wake:
            self._wake.notify_all()
        return kept

    def undo(self, rater: str) -> LabelClip | None:
        """Take back the last label of a rater; its clip, or None.

        Raises:
            LabellingError: As `Store.undo`.
        """
        label = self.store.undo(rater)
        return None if label is None else self.store.clip(label.clip)

    def is_there(self, clip: LabelClip) -> bool:
        """Whether the recording of a clip still exists."""
        there = (self.recordings / clip.path).is_file()
        with self._lock:
            (self._state.gone.discard if there else self._state.gone.add)(clip.path)
        return there

    def guess(self, clip: LabelClip) -> Mapping[str, float] | None:
        """The head's scores of a clip; None in blind mode, or before the clip was encoded."""
        if not self.options.show_guess:
            return None
        return self.scores(clip)

    def scores(self, clip: LabelClip) -> Mapping[str, float] | None:
        """The head's scores of a clip by emotion; None before the clip was encoded."""
        with self._lock:
            learned, inputs = self._state.learned, self._state.inputs
        if learned is None or inputs is None or not len(rows := inputs.rows([clip.id])):
            return None
        found = learned.head.scores(inputs.features[rows], inputs.prior[rows])[0]
        return dict(zip(self.store.emotions, found.round(4).tolist(), strict=True))

    @property
    def learned(self) -> Learned | None:
        """The head as it was fitted last."""
        with self._lock:
            return self._state.learned

    def status(self, rater: str = "") -> dict[str, Any]:
        """Progress, curve, agreement and problems, ready for JSON."""
        labels = self.store.labels()
        votes = votes_of(labels, self.store.emotions, self.store.clips)
        agreement = self._agreement(labels)
        with self._lock:
            state, gone = self._state, sorted(self._state.gone)
            learned, fitting, problem = state.learned, state.fitting, state.problem
        own = labels.get(check_rater(rater), {}) if rater else {}
        labelled = {name for given in labels.values() for name in given}
        counts = np.sum(list(votes.values()), axis=0) if votes else np.zeros(len(self.store.emotions))
        tests = sum(clip.part == "test" for clip in self.store.clips)
        missing = [f"{name}: the recording is gone; put it back, or leave it out" for name in gone]
        return {
            "clips": len(self.store.clips),
            "tests": tests,
            "encoded": len(self.features),
            "labelled": len(labelled),
            "own": len(own),
            "raters": {name: len(given) for name, given in labels.items()},
            "counts": {name: int(count) for name, count in zip(self.store.emotions, counts, strict=True)},
            "agreement": describe_agreement(agreement),
            "learning": describe_learned(learned, tests),
            "fitting": fitting,
            "problems": [*self.store.problems(), *missing, *([problem] if problem else [])],
        }

    def _agreement(self, labels: Mapping[str, Mapping[str, Label]]) -> Agreement:
        """Agreement of the raters, measured again after a few labels: the bootstrap takes longer than a request may."""
        total = sum(len(own) for own in labels.values()) // _AGREEMENT_EVERY
        with self._lock:
            known = self._state.agreement
        if known is None or known[0] != total:
            known = (total, measure_agreement(labels))
            with self._lock:
                self._state.agreement = known
        return known[1]

    def refit(self) -> Learned:
        """Fit the head on all labels now.

        Raises:
            LabellingError: Too few clips have been encoded.
        """
        clips = self.store.clips
        names = [clip.id for clip in clips if self.features.of(clip.id) is not None]
        if len(names) < FEWEST_CLIPS:
            raise LabellingError(
                f"{self.recordings}: {len(names)} clips with speech are encoded, at least {FEWEST_CLIPS} are needed"
            )
        space, inputs = self._inputs(names)
        labels = self.store.labels()
        train = votes_of(labels, self.store.emotions, [clip for clip in clips if clip.part == "train"])
        test = votes_of(labels, self.store.emotions, [clip for clip in clips if clip.part == "test"])
        before, speakers = self._state.learned, {clip.id: clip.speaker for clip in clips}
        learned = learn(inputs, space, train, test, speakers, before)
        ranked = self._rank(learned, inputs, labels)
        with self._lock:
            self._state.learned, self._state.inputs, self._state.ranked = learned, inputs, ranked
        return learned

    def _inputs(self, names: Sequence[str]) -> tuple[Space, Inputs]:
        """Space and inputs of clips; the space stays until there are many more clips."""
        with self._lock:
            learned, inputs = self._state.learned, self._state.inputs
        if learned is not None and inputs is not None and len(names) == len(inputs.names):
            return learned.space, inputs
        statistics = np.stack([values for name in names if (values := self.features.of(name)) is not None])
        space = learned.space if learned and inputs and len(names) < _GROWN * len(inputs.names) else None
        space = space or fit_space(self.model, statistics, self.store.emotions)
        features, prior = head_inputs(self.model, space, statistics)
        return space, Inputs(names=tuple(names), features=features, prior=prior)

    def _rank(self, learned: Learned, inputs: Inputs, labels: Mapping[str, Mapping[str, Label]]) -> list[str]:
        """The training clips that nobody has labelled, the first `QUEUE` by the strategy, the others at random."""
        labelled = {name for given in labels.values() for name in given}
        part = {clip.id: clip.part for clip in self.store.clips}
        place = {name: row for row, name in enumerate(inputs.names)}
        free = [name for name in inputs.names if name not in labelled and part[name] == "train"]
        if not free:
            return []
        rows = np.array([place[name] for name in free])
        old = np.array([place[name] for name in inputs.names if name in labelled], np.int64)
        scores = learned.head.scores(inputs.features[rows], inputs.prior[rows])
        pick, rng = STRATEGIES[self.options.strategy], np.random.default_rng(self.options.seed + len(labelled))
        chosen = pick(inputs.features[rows], scores, inputs.features[old], min(QUEUE, len(free)), rng)
        return [free[number] for number in chosen]

    def _open_clips(
        self, rater: str, labels: Mapping[str, Mapping[str, Label]], done: set[str]
    ) -> tuple[list[str], list[str]]:
        """Training and test clips that a rater may get, in order."""
        counts: dict[str, int] = {}
        for own in labels.values():
            for name in own:
                counts[name] = counts.get(name, 0) + 1
        with self._lock:
            now, ranked = time.monotonic(), {name: number for number, name in enumerate(self._state.ranked)}
            taken = {
                name
                for name, (who, since) in self._state.held.items()
                if who != rater and now - since < HELD_SECONDS and self.options.votes == 1
            }
        free = [clip for clip in self.store.clips if clip.id not in done]
        test = sorted((clip.id for clip in free if clip.part == "test"), key=self._shuffled.__getitem__)
        train = [
            clip.id
            for clip in free
            if clip.part == "train" and counts.get(clip.id, 0) < self.options.votes and clip.id not in taken
        ]

        def place(name: str) -> tuple[bool, int, bool, int]:
            begun = counts.get(name, 0) > 0  # another rater's clips first, where several votes are wanted
            return not begun, ranked.get(name, len(ranked)), not self._has_speech(name), self._shuffled[name]

        return sorted(train, key=place), test

    def _has_speech(self, name: str) -> bool:
        return not self.features.done(name) or self.features.of(name) is not None

    def _is_test_place(self, rater: str, position: int) -> bool:
        """Whether a rater's clip with this number is a test clip: one of each `TEST_EVERY`, at a random place."""
        block = position // TEST_EVERY
        drawn = hashlib.sha256(f"{self.options.seed} {rater} {block}".encode()).digest()[0] % TEST_EVERY
        return position % TEST_EVERY == drawn

    def _draw(self, names: Sequence[str]) -> list[str]:
        return [names[int(one)] for one in np.random.default_rng(self.options.seed).permutation(len(names))]

    def _extract(self) -> None:
        order = sorted(self.store.clips, key=lambda clip: (clip.part == "train", self._shuffled[clip.id]))
        try:
            for _ in self.features.extract(order):
                if self._stopping:
                    return
        except BimodalError as error:
            self._tell(str(error))
        except Exception:
            log.exception("features of the clips")
            self._tell("the clips cannot be encoded; see the server's log")

    def _transcribe(self) -> None:
        """Find the words of the clips without any, in the order in which they are drawn."""
        assert self._transcriber is not None  # noqa: S101
        for clip in sorted(self.store.clips, key=lambda clip: (clip.part == "train", self._shuffled[clip.id])):
            if self._stopping:
                return
            if self.store.has_words(clip):
                continue
            try:
                signal = load_signal(self.recordings / clip.path, start=clip.start, end=clip.end)
                self.store.add_words(clip, self._transcriber.transcribe(signal).text)
            except AudioError:
                continue
            except BimodalError as error:
                self._tell(str(error))
                return

    def _fit_on(self) -> None:
        """Fit whenever `REFIT_EVERY` labels came since the last time, and when all clips are encoded."""
        encoded = 0
        while not self._stopping:
            with self._wake:
                self._wake.wait(_NAP)
            labels = sum(len(own) for own in self.store.labels().values())
            ready = sum(self.features.of(clip.id) is not None for clip in self.store.clips)
            due = self._state.fitted_labels < 0 or abs(labels - self._state.fitted_labels) >= REFIT_EVERY
            if self._stopping or ready < FEWEST_CLIPS or not (due or ready > 2 * max(encoded, FEWEST_CLIPS)):
                continue
            self._state.fitting = True
            try:
                self.refit()
                self._state.fitted_labels, encoded = labels, ready
                self._tell("")
            except BimodalError as error:
                self._state.fitted_labels, encoded = labels, ready
                self._tell(str(error))
            except Exception:
                self._state.fitted_labels, encoded = labels, ready
                log.exception("the head")
                self._tell("the head cannot be fitted; see the server's log")
            finally:
                self._state.fitting = False

    def _tell(self, problem: str) -> None:
        with self._lock:
            self._state.problem = problem


def describe_agreement(found: Agreement) -> dict[str, Any]:
    """Agreement, ready for JSON."""
    alpha = found.alpha
    return {
        "alpha": None if alpha is None else [round(value, 3) for value in (alpha.value, alpha.low, alpha.high)],
        "clips": found.clips,
        "raters": found.raters,
    }


_SMALL: Final = f"No figure: the folder has {{tests}} test clips, and {FEWEST_TESTS} are needed; add recordings."


def describe_learned(learned: Learned | None, tests: int) -> dict[str, Any] | None:
    """The head and its curve, ready for JSON; figures in percent. `tests`: of the folder, labelled or not."""
    if learned is None:
        return None
    curve = learned.curve
    gain = curve.gain
    advice = curve.advice if tests >= FEWEST_TESTS else _SMALL.format(tests=tests)
    return {
        "labels": learned.labels,
        "tests": curve.tests,
        "points": [
            {"labels": one.labels, "uar": [round(100 * end, 1) for end in (one.uar.value, one.uar.low, one.uar.high)]}
            for one in curve.points
        ],
        "gain": None if gain is None else [round(100 * end, 1) for end in (gain.value, gain.low, gain.high)],
        "advice": advice,
        "may_stop": curve.may_stop,
    }
