"""`python -m pocketworlds.cli`."""

from . import main

main()
