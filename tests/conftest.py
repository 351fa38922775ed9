"""What every test may rely on."""

from __future__ import annotations

import signal

# A shell starts background jobs with SIGINT ignored, and processes hand that down; the tests of Ctrl-C need it heard.
signal.signal(signal.SIGINT, signal.default_int_handler)
