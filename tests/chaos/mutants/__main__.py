"""`MUTANT=name python -m chaos.mutants`: billing with that mistake, or as it is without a name."""

import os

from chaos.mutants.mistakes import MISTAKES
from messaging_processors.__main__ import main as processor


def main() -> None:
    """Runs as `python -m messaging_processors` does."""
    if name := os.environ.get("MUTANT", ""):
        MISTAKES[name]()
    processor()


if __name__ == "__main__":
    main()
