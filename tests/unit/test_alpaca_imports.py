"""The adapter costs nothing until it is connected."""

import subprocess
import sys


def test_nothing_heavy_is_imported_with_the_adapter() -> None:
    heavy = ["alpaca", "requests", "pandas", "numpy", "websockets", "msgpack"]
    code = f"import sys, brokers.alpaca.broker, brokers.alpaca.feed; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
