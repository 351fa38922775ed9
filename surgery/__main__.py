"""`python -m surgery` is the command `surgeon`."""

from surgery.cli import main

main()
