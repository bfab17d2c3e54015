"""`python -m bimodal`."""

from bimodal.cli import main

main()
