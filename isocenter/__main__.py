"""`python -m isocenter` is the command `isocenter`."""

from isocenter.cli import main

main()
