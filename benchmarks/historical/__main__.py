"""`python -m benchmarks.historical`."""

from .run import main

main()
