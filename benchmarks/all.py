"""All benchmarks, then docs/results.md. `python -m benchmarks.all --tables` writes the page alone."""

import sys

from benchmarks import across, across_four, calibration, crema_d, emodb, meld, ravdess, speakers, tables
from benchmarks.record import RESULTS, ROOT, read_options

PAGE = ROOT / "docs" / "results.md"


def main() -> None:
    if sys.argv[1:] == ["--tables"]:
        tables.write_results(RESULTS, PAGE)
        return
    options = read_options(__doc__ or "")
    for benchmark in (ravdess, speakers, emodb, crema_d, across, across_four, meld, calibration):
        benchmark.run(options)
    tables.write_results(options.results, PAGE)


if __name__ == "__main__":
    main()
