"""`python -m bench`, for machines where the script is not on the path."""

from bench.cli.main import main

main()
