"""`python -m hydronb` is the `hydronb` command."""

from hydronb.cli import main

main()
