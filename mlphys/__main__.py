"""``python -m mlphys`` is ``mlphys``."""

from mlphys.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
