"""`python -m antiphon.gateway.cli` is `antiphon`."""

from __future__ import annotations

import sys

from antiphon.gateway.cli import main

sys.exit(main())
